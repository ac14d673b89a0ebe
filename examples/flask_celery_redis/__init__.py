"""Flask, Celery and Redis: numbers go through a queue and a cache, and keep what they were given for."""
