"""The original pattern: Django REST Framework, a signal, a Celery task, a publish with Kombu."""
