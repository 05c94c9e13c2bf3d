"""Messaging: one small interface, spoken by RabbitMQ and by a broker inside this process."""
