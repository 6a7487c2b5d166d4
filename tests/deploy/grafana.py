"""Builds a Grafana dashboard: rows of panels on a grid, as JSON that Grafana 11 and 12 import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 39  # of Grafana 11; later ones migrate it themselves
COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One line, or one for each series."""

    expr: str
    legend: str = "{{instance}}"
    color: str = ""
    axis: str = ""
    """`right` for the other axis."""


@dataclass(frozen=True)
class Panel:
    """What is drawn. `unit` is one of Grafana's: s, percentunit, bps, pps, bytes, short."""

    title: str
    help: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    thresholds: Sequence[tuple[float, str]] = ()
    """(from, colour); below the first it is green."""
    minimum: float | None = 0
    maximum: float | None = None
    decimals: int | None = None
    stacked: bool = False
    mappings: Json = field(default_factory=dict)
    """Shown instead of numbers: {"1": ("live", "green")}."""


@dataclass(frozen=True)
class Row:
    """A heading with the panels below it, from left to right."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


def dashboard(title: str, uid: str, description: str, variables: Sequence[Json], rows: Sequence[Row]) -> Json:
    """The whole dashboard, without an id: Grafana gives one when it is imported."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["semcast", "video"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one cross-hair over all panels
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(variables)},
        "annotations": {"list": [_alerts()]},
        "links": [],
        "panels": _placed(rows),
    }


def datasource_variable() -> Json:
    """The Prometheus to ask: no identifier of one installation stands in the panels."""
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "refresh": 1,
        "regex": "",
        "includeAll": False,
        "multi": False,
        "options": [],
    }


def label_variable(name: str, label: str, selector: str) -> Json:
    """Values of a label, any number of which may be chosen."""
    query = f"label_values({selector}, {label})"
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "regex": "",
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _alerts() -> Json:
    """Marks on the time axis where alerts fire."""
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Semcast.*", alertstate="firing", severity!="info"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}}",
        "step": "15s",
    }


def _placed(rows: Sequence[Row]) -> list[Json]:
    out: list[Json] = []
    y = number = 0
    for row in rows:
        number += 1
        heading: Json = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
            "panels": [],
        }
        out.append(heading)
        y += 1
        x = tallest = 0
        for panel in row.panels:
            number += 1
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            (heading["panels"] if row.collapsed else out).append(_panel(panel, number, place))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += 0 if row.collapsed else tallest
    return out


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(query, index, panel.kind) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
    }


def _target(query: Query, index: int, kind: str) -> Json:
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": kind != "stat",
        "instant": kind == "stat",
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.thresholds]
    found: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "mappings": _mappings(panel.mappings),
        "noValue": "-",
        "custom": _custom(panel),
    }
    limits = {"min": panel.minimum, "max": panel.maximum, "decimals": panel.decimals}
    return found | {name: value for name, value in limits.items() if value is not None}


def _custom(panel: Panel) -> Json:
    if panel.kind == "state-timeline":
        return {"fillOpacity": 70, "lineWidth": 0}
    if panel.kind != "timeseries":
        return {}
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 40 if panel.stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        "axisSoftMin": 0,
    }


def _mappings(mappings: Json) -> list[Json]:
    if not mappings:
        return []
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(mappings.items())
    }
    return [{"type": "value", "options": options}]


def _overrides(panel: Panel) -> list[Json]:
    out: list[Json] = []
    for index, query in enumerate(panel.queries):
        properties: list[Json] = []
        if query.color:
            properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": query.color}})
        if query.axis:
            properties.append({"id": "custom.axisPlacement", "value": query.axis})
        if properties:
            matcher = {"id": "byFrameRefID", "options": chr(ord("A") + index)}
            out.append({"matcher": matcher, "properties": properties})
    return out


_REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, Json] = {
    "stat": {
        "reduceOptions": _REDUCE,
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "auto",
        "orientation": "auto",
        "wideLayout": True,
    },
    "timeseries": {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "calcs": ["lastNotNull", "max"],
            "showLegend": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "state-timeline": {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "center",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    },
}
