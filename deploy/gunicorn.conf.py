"""gunicorn for one node: ``gunicorn --config deploy/gunicorn.conf.py``."""

import os

wsgi_app = "example_project.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", os.cpu_count() or 1))

# Imported once, before the workers are forked: they start at once, and share that memory.
preload_app = True

# A request waits for the database and for Redis most of the time. Each thread needs a connection
# of DATABASE_POOL_SIZE.
worker_class = "gthread"
threads = int(os.environ.get("DATABASE_POOL_SIZE", "8"))

# Seconds that requests under way have when the node is stopped.
graceful_timeout = 30

# A running node takes orders by signals only.
control_socket_disable = True

# nginx makes a connection for each request, see deploy/nginx/nginx.conf.
keepalive = 0
