"""The dashboard: `GET /`, a page that shows the service at work, and lets it be tried by hand.

live         what is measured each second, and kept for the charts
consumption  what the page asks the consumption service for
routes       the page, its files, its stream
static       the page itself; `vendor` holds uPlot 1.6.32 as it was published (MIT)
"""
