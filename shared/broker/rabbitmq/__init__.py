"""RabbitMQ: only this folder imports aio-pika, aiormq and pamqp."""
