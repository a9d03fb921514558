"""Pieces of PromQL that several boards share."""

ARM = 'route=~"$route",arm=~"$arm",version=~"$version"'
RELEASE = 'version=~"$version"'
BY_ARM = "route, arm, model, version"
ARM_LEGEND = "{{route}}/{{arm}} {{model}}-{{version}}"
RELEASE_LEGEND = "{{model}}-{{version}}"


def rate(name: str, labels: str = ARM) -> str:
    """Return a counter's growth a second, over as long as Grafana thinks fit."""
    selected = f"{name}{{{labels}}}" if labels else name
    return f"rate({selected}[$__rate_interval])"


def by(labels: str, inner: str) -> str:
    """Return a sum by some labels."""
    return f"sum by ({labels}) ({inner})"


def mean(name: str, by_labels: str = BY_ARM, labels: str = ARM) -> str:
    """Return the mean of what a histogram has seen; nothing where it has seen nothing."""
    total = by(by_labels, rate(f"{name}_sum", labels))
    return f"{total} / ({by(by_labels, rate(f'{name}_count', labels))} > 0)"


def quantile(share: float, name: str, by_labels: str = BY_ARM, labels: str = ARM) -> str:
    """Return a quantile of what a histogram has seen."""
    every = f"{by_labels}, le" if by_labels else "le"
    return f"histogram_quantile({share:g}, {by(every, rate(f'{name}_bucket', labels))})"


def spread(name: str, labels: str = ARM) -> str:
    """Return what a histogram has seen by bucket, for a heatmap."""
    return by("le", f"increase({name}_bucket{{{labels}}}[$__rate_interval])")


def or_zero(expression: str) -> str:
    """Return 0 where there is nothing: what never happened is no missing figure."""
    return f"{expression} or on () vector(0)"
