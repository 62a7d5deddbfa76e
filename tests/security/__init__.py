"""What ``docs/security.md`` claims, each as a test that a broken build fails."""
