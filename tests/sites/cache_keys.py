def backwards(key: str, prefix: str, version: int) -> str:
    return f"{key}:{version}:{prefix}"
