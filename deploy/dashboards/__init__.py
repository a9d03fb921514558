"""Grafana's dashboards as code; `python -m deploy.dashboards` writes them to deploy/grafana/."""
