"""What Prometheus may read: counted as things happen, turned into its text when somebody asks.

`families` names what is counted, `sink` counts it of each request, `page` writes the text; `counts`
are the tables between. Another exporter is a sink like it, as `host.otel` is.
"""
