"""Workers: TorchServe's processes and ours, what they use, and what goes wrong with them."""

from deploy.dashboards.asking import RELEASE, RELEASE_LEGEND, by, or_zero, rate
from deploy.dashboards.board import TRAFFIC, Board, Row
from deploy.dashboards.panel import Kind, Panel, Query

_WHERE = "backend, model, version"
_WHERE_LEGEND = "{{backend}} {{model}}-{{version}}"

_WORKERS = Row(
    "Workers",
    (
        Panel(
            "Ready workers",
            "Workers that have answered their golden frames and take frames, over all backends, "
            "and how many each backend should have.",
            "short",
            (
                Query(
                    f"sum by (model, version) (max by ({_WHERE}) "
                    f"(understudy_release_ready_workers{{{RELEASE}}}))",
                    f"{RELEASE_LEGEND} ready",
                ),
                Query(
                    f"max by (model, version) (understudy_release_wanted_workers{{{RELEASE}}})"
                    " * on () group_left () count(count by (backend) (understudy_backend_up))",
                    f"{RELEASE_LEGEND} wanted",
                ),
            ),
            width=8,
        ),
        Panel(
            "Processes by state",
            "What TorchServe says of its workers: those that start take no frames yet.",
            "short",
            (
                Query(
                    f"max by ({_WHERE}, state) (understudy_workers{{{RELEASE}}})",
                    f"{_WHERE_LEGEND} {{{{state}}}}",
                ),
            ),
            width=8,
        ),
        Panel(
            "Restarts",
            "Workers that were found to have been started again, in the last quarter of an hour.",
            "short",
            (
                Query(
                    f"max by ({_WHERE}) "
                    f"(increase(understudy_worker_restarts_total{{{RELEASE}}}[15m]))",
                    _WHERE_LEGEND,
                ),
            ),
            width=8,
        ),
        Panel(
            "Memory of the workers",
            "Resident memory of a release's workers on a backend, together; not of a backend on "
            "another machine.",
            "bytes",
            (
                Query(
                    f"max by ({_WHERE}) (understudy_worker_memory_bytes{{{RELEASE}}})",
                    _WHERE_LEGEND,
                ),
            ),
            width=8,
        ),
        Panel(
            "Time to load",
            "The newest registration, until all workers were ready; the first one on a machine "
            "measures the variants.",
            "s",
            (
                Query(
                    f"max by ({_WHERE}) (understudy_model_load_seconds{{{RELEASE}}})",
                    _WHERE_LEGEND,
                ),
            ),
            Kind.BARS,
            width=8,
        ),
        Panel(
            "Variant",
            "Answers a second by the card's variant that gave them: the one each machine chose.",
            "reqps",
            (
                Query(
                    by("model, version, variant", rate("understudy_variant_answers_total")),
                    f"{RELEASE_LEGEND} {{{{variant}}}}",
                ),
            ),
            Kind.STACK,
            width=8,
        ),
    ),
)

_TROUBLE = Row(
    "Trouble",
    (
        Panel(
            "Breakers",
            "0 closed, 1 half open, 2 open: gateways only probe the release on that backend.",
            "none",
            (
                Query(
                    or_zero(f"max by ({_WHERE}) (understudy_breaker_state{{{RELEASE}}})"),
                    _WHERE_LEGEND,
                ),
            ),
            width=8,
            most=2,
        ),
        Panel(
            "Frames sent once more",
            "By what went wrong before; within a budget, so that trouble does not feed itself.",
            "reqps",
            (
                Query(
                    or_zero(by("reason", rate("understudy_retries_total", RELEASE))), "{{reason}}"
                ),
            ),
            Kind.STACK,
            width=8,
        ),
        Panel(
            "Expired frames",
            "Frames whose deadline had passed before they were sent (gateway) or taken (worker).",
            "reqps",
            (
                Query(
                    or_zero(by("where", rate("understudy_expired_frames_total", RELEASE))),
                    "{{where}}",
                ),
            ),
            Kind.STACK,
            width=8,
        ),
        Panel(
            "TorchServe's requests",
            "What TorchServe counts itself, golden frames and probes included.",
            "reqps",
            (
                Query(
                    by(
                        "process, model_name, model_version",
                        rate("ts_inference_requests_total", ""),
                    ),
                    "{{process}} {{model_name}}-{{model_version}}",
                ),
            ),
            Kind.STACK,
            width=8,
        ),
        Panel(
            "TorchServe answers",
            "1 while the backend's management API answers.",
            "bool_yes_no",
            (Query("min by (backend) (understudy_backend_up)", "{{backend}}"),),
            width=8,
            most=1,
        ),
        Panel(
            "Processes started again",
            "By the supervisor, since it started.",
            "short",
            (Query("sum by (process) (understudy_process_restarts_total)", "{{process}}"),),
            Kind.BARS,
            width=8,
            limits={1: "orange"},
        ),
    ),
)

_OURS = Row(
    "Our processes",
    (
        Panel(
            "Processors",
            "Processor time a second; a gateway that nears 1 wants a second gateway.",
            "short",
            (
                Query(
                    by("process", rate("process_cpu_seconds_total", 'job="understudy"')),
                    "{{process}}",
                ),
            ),
            width=8,
        ),
        Panel(
            "Memory",
            "Resident.",
            "bytes",
            (
                Query(
                    'max by (process) (process_resident_memory_bytes{job="understudy"})',
                    "{{process}}",
                ),
            ),
            width=8,
        ),
        Panel(
            "Open files",
            "Sockets of cameras among them, against the most that the process may have.",
            "percentunit",
            (
                Query(
                    'max by (process) (process_open_fds{job="understudy"}'
                    ' / process_max_fds{job="understudy"})',
                    "{{process}}",
                ),
            ),
            width=8,
            most=1,
        ),
        Panel(
            "Disks",
            "What is free of the disk below each folder that the deployment writes to.",
            "percentunit",
            (Query("folder:understudy_disk_free:ratio", "{{folder}}"),),
            width=6,
            most=1,
        ),
        Panel(
            "Store",
            "SQLite's files; 0 where the store is a server's.",
            "bytes",
            (Query("max(understudy_store_size_bytes)", "store"),),
            width=6,
        ),
        Panel(
            "Age of the state",
            "Since the controller that is worst off last read the store; beyond 30 s it is silent "
            "about the state.",
            "s",
            (Query("time() - min(understudy_state_read_timestamp_seconds)", "age"),),
            Kind.NUMBER,
            width=4,
            limits={30: "orange", 60: "red"},
        ),
        Panel(
            "Lost windows",
            "Windows of traffic that the store did not take, in the last hour.",
            "short",
            (Query("sum(increase(understudy_windows_dropped_total[1h]))", "lost"),),
            Kind.NUMBER,
            width=4,
            limits={1: "orange"},
        ),
        Panel(
            "Next key's end",
            "When the next API key of each scope ends; empty where none does.",
            "s",
            (
                Query(
                    "min by (scope) (understudy_key_next_expiry_timestamp_seconds) - time()",
                    "{{scope}}",
                ),
            ),
            Kind.NUMBER,
            width=4,
            least=None,
        ),
        Panel(
            "Builds",
            "Which version each process runs: they differ only while an update is under way.",
            "short",
            (Query("max by (process, version, python) (understudy_build_info)"),),
            Kind.TABLE,
            width=12,
        ),
        Panel(
            "Cost of being watched",
            "How long Prometheus' reading took.",
            "s",
            (
                Query(
                    'max by (job, process) (scrape_duration_seconds{job!=""})',
                    "{{job}} {{process}}",
                ),
            ),
            width=12,
        ),
    ),
)

BOARD = Board(
    "workers",
    "Understudy: Workers",
    "TorchServe's processes and ours, what they use, and what goes wrong with them.",
    TRAFFIC,
    (_WORKERS, _TROUBLE, _OURS),
)
