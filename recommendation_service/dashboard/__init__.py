"""Dashboard: `GET /`, a page that shows the service at work, and lets a person try it by hand.

live         the samples of the charts, one a second
consumption  a proxy of the consumption service
routes       the page, its files, its event stream
static       the page itself; `vendor` holds uPlot 1.6.32 as it was published (MIT)
"""
