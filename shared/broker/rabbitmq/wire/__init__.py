"""The wire: only this folder relies on undocumented parts of aio-pika, aiormq and pamqp."""
