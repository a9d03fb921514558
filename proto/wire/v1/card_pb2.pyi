import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_TEACHER: _ClassVar[Role]
    ROLE_STUDENT: _ClassVar[Role]

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_DETECTION: _ClassVar[Task]

class HeadKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEAD_KIND_UNSPECIFIED: _ClassVar[HeadKind]
    HEAD_KIND_DENSE: _ClassVar[HeadKind]
    HEAD_KIND_END_TO_END: _ClassVar[HeadKind]
ROLE_UNSPECIFIED: Role
ROLE_TEACHER: Role
ROLE_STUDENT: Role
TASK_UNSPECIFIED: Task
TASK_DETECTION: Task
HEAD_KIND_UNSPECIFIED: HeadKind
HEAD_KIND_DENSE: HeadKind
HEAD_KIND_END_TO_END: HeadKind

class Card(_message.Message):
    __slots__ = ("schema_version", "name", "version", "role", "task", "class_names", "input", "head", "post_processing", "variants", "worker_requirements", "lineage", "quality", "licences", "digests", "golden_frames", "gate")
    class DigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    POST_PROCESSING_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    WORKER_REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LICENCES_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_FRAMES_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    schema_version: int
    name: str
    version: str
    role: Role
    task: Task
    class_names: _containers.RepeatedScalarFieldContainer[str]
    input: Input
    head: Head
    post_processing: PostProcessing
    variants: _containers.RepeatedCompositeFieldContainer[Variant]
    worker_requirements: WorkerRequirements
    lineage: Lineage
    quality: Quality
    licences: Licences
    digests: _containers.ScalarMap[str, str]
    golden_frames: _containers.RepeatedCompositeFieldContainer[GoldenFrame]
    gate: _containers.RepeatedCompositeFieldContainer[GateCheck]
    def __init__(self, schema_version: _Optional[int] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., task: _Optional[_Union[Task, str]] = ..., class_names: _Optional[_Iterable[str]] = ..., input: _Optional[_Union[Input, _Mapping]] = ..., head: _Optional[_Union[Head, _Mapping]] = ..., post_processing: _Optional[_Union[PostProcessing, _Mapping]] = ..., variants: _Optional[_Iterable[_Union[Variant, _Mapping]]] = ..., worker_requirements: _Optional[_Union[WorkerRequirements, _Mapping]] = ..., lineage: _Optional[_Union[Lineage, _Mapping]] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., licences: _Optional[_Union[Licences, _Mapping]] = ..., digests: _Optional[_Mapping[str, str]] = ..., golden_frames: _Optional[_Iterable[_Union[GoldenFrame, _Mapping]]] = ..., gate: _Optional[_Iterable[_Union[GateCheck, _Mapping]]] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("width", "height", "letterbox_pad", "letterbox_scale_up", "colour", "scale", "tensor_name", "output_name", "opset", "stride")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LETTERBOX_PAD_FIELD_NUMBER: _ClassVar[int]
    LETTERBOX_SCALE_UP_FIELD_NUMBER: _ClassVar[int]
    COLOUR_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_NAME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAME_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    letterbox_pad: int
    letterbox_scale_up: bool
    colour: str
    scale: float
    tensor_name: str
    output_name: str
    opset: int
    stride: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., letterbox_pad: _Optional[int] = ..., letterbox_scale_up: _Optional[bool] = ..., colour: _Optional[str] = ..., scale: _Optional[float] = ..., tensor_name: _Optional[str] = ..., output_name: _Optional[str] = ..., opset: _Optional[int] = ..., stride: _Optional[int] = ...) -> None: ...

class Head(_message.Message):
    __slots__ = ("kind",)
    KIND_FIELD_NUMBER: _ClassVar[int]
    kind: HeadKind
    def __init__(self, kind: _Optional[_Union[HeadKind, str]] = ...) -> None: ...

class PostProcessing(_message.Message):
    __slots__ = ("operating_thresholds", "iou_threshold", "max_detections", "max_candidates", "threshold_origins")
    OPERATING_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    IOU_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_ORIGINS_FIELD_NUMBER: _ClassVar[int]
    operating_thresholds: _containers.RepeatedScalarFieldContainer[float]
    iou_threshold: float
    max_detections: int
    max_candidates: int
    threshold_origins: _containers.RepeatedCompositeFieldContainer[ThresholdOrigin]
    def __init__(self, operating_thresholds: _Optional[_Iterable[float]] = ..., iou_threshold: _Optional[float] = ..., max_detections: _Optional[int] = ..., max_candidates: _Optional[int] = ..., threshold_origins: _Optional[_Iterable[_Union[ThresholdOrigin, _Mapping]]] = ...) -> None: ...

class ThresholdOrigin(_message.Message):
    __slots__ = ("class_id", "matched", "note", "instances", "precision", "teacher_precision", "detections", "teacher_detections")
    CLASS_ID_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    TEACHER_PRECISION_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    TEACHER_DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    class_id: int
    matched: str
    note: str
    instances: int
    precision: float
    teacher_precision: float
    detections: int
    teacher_detections: int
    def __init__(self, class_id: _Optional[int] = ..., matched: _Optional[str] = ..., note: _Optional[str] = ..., instances: _Optional[int] = ..., precision: _Optional[float] = ..., teacher_precision: _Optional[float] = ..., detections: _Optional[int] = ..., teacher_detections: _Optional[int] = ...) -> None: ...

class GateCheck(_message.Message):
    __slots__ = ("rule", "subject", "what", "detail", "measured", "low", "high", "confidence", "limit", "verdict", "note")
    RULE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    rule: str
    subject: str
    what: str
    detail: str
    measured: float
    low: float
    high: float
    confidence: float
    limit: float
    verdict: str
    note: str
    def __init__(self, rule: _Optional[str] = ..., subject: _Optional[str] = ..., what: _Optional[str] = ..., detail: _Optional[str] = ..., measured: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., confidence: _Optional[float] = ..., limit: _Optional[float] = ..., verdict: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class Variant(_message.Message):
    __slots__ = ("name", "runtime", "precision", "file", "file_bytes", "map50", "map50_95", "latency_ms", "tolerance", "requires")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAP50_FIELD_NUMBER: _ClassVar[int]
    MAP50_95_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_FIELD_NUMBER: _ClassVar[int]
    name: str
    runtime: str
    precision: str
    file: str
    file_bytes: int
    map50: float
    map50_95: float
    latency_ms: float
    tolerance: Tolerance
    requires: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., runtime: _Optional[str] = ..., precision: _Optional[str] = ..., file: _Optional[str] = ..., file_bytes: _Optional[int] = ..., map50: _Optional[float] = ..., map50_95: _Optional[float] = ..., latency_ms: _Optional[float] = ..., tolerance: _Optional[_Union[Tolerance, _Mapping]] = ..., requires: _Optional[_Iterable[str]] = ...) -> None: ...

class Tolerance(_message.Message):
    __slots__ = ("min_iou", "max_score_difference", "min_f1")
    MIN_IOU_FIELD_NUMBER: _ClassVar[int]
    MAX_SCORE_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    MIN_F1_FIELD_NUMBER: _ClassVar[int]
    min_iou: float
    max_score_difference: float
    min_f1: float
    def __init__(self, min_iou: _Optional[float] = ..., max_score_difference: _Optional[float] = ..., min_f1: _Optional[float] = ...) -> None: ...

class WorkerRequirements(_message.Message):
    __slots__ = ("python", "packages")
    class PackagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    python: str
    packages: _containers.ScalarMap[str, str]
    def __init__(self, python: _Optional[str] = ..., packages: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("teacher", "teacher_sha256", "checkpoint_sha256", "data_lock_sha256", "job", "job_sha256", "seed", "commit", "libraries", "created")
    class LibrariesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TEACHER_FIELD_NUMBER: _ClassVar[int]
    TEACHER_SHA256_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_SHA256_FIELD_NUMBER: _ClassVar[int]
    DATA_LOCK_SHA256_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    JOB_SHA256_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    LIBRARIES_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    teacher: str
    teacher_sha256: str
    checkpoint_sha256: str
    data_lock_sha256: str
    job: str
    job_sha256: str
    seed: int
    commit: str
    libraries: _containers.ScalarMap[str, str]
    created: _timestamp_pb2.Timestamp
    def __init__(self, teacher: _Optional[str] = ..., teacher_sha256: _Optional[str] = ..., checkpoint_sha256: _Optional[str] = ..., data_lock_sha256: _Optional[str] = ..., job: _Optional[str] = ..., job_sha256: _Optional[str] = ..., seed: _Optional[int] = ..., commit: _Optional[str] = ..., libraries: _Optional[_Mapping[str, str]] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("measured", "data", "split", "images", "map50", "map50_95", "teacher_map50", "teacher_map50_95", "parameters", "per_class", "calibration_error", "teacher_calibration_error")
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAP50_FIELD_NUMBER: _ClassVar[int]
    MAP50_95_FIELD_NUMBER: _ClassVar[int]
    TEACHER_MAP50_FIELD_NUMBER: _ClassVar[int]
    TEACHER_MAP50_95_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PER_CLASS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    TEACHER_CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    measured: bool
    data: str
    split: str
    images: int
    map50: float
    map50_95: float
    teacher_map50: float
    teacher_map50_95: float
    parameters: int
    per_class: _containers.RepeatedCompositeFieldContainer[ClassQuality]
    calibration_error: float
    teacher_calibration_error: float
    def __init__(self, measured: _Optional[bool] = ..., data: _Optional[str] = ..., split: _Optional[str] = ..., images: _Optional[int] = ..., map50: _Optional[float] = ..., map50_95: _Optional[float] = ..., teacher_map50: _Optional[float] = ..., teacher_map50_95: _Optional[float] = ..., parameters: _Optional[int] = ..., per_class: _Optional[_Iterable[_Union[ClassQuality, _Mapping]]] = ..., calibration_error: _Optional[float] = ..., teacher_calibration_error: _Optional[float] = ...) -> None: ...

class ClassQuality(_message.Message):
    __slots__ = ("class_id", "objects", "ap50", "ap50_95", "recall", "precision")
    CLASS_ID_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    AP50_FIELD_NUMBER: _ClassVar[int]
    AP50_95_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    class_id: int
    objects: int
    ap50: float
    ap50_95: float
    recall: float
    precision: float
    def __init__(self, class_id: _Optional[int] = ..., objects: _Optional[int] = ..., ap50: _Optional[float] = ..., ap50_95: _Optional[float] = ..., recall: _Optional[float] = ..., precision: _Optional[float] = ...) -> None: ...

class Licences(_message.Message):
    __slots__ = ("code", "weights", "data")
    CODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    code: str
    weights: str
    data: str
    def __init__(self, code: _Optional[str] = ..., weights: _Optional[str] = ..., data: _Optional[str] = ...) -> None: ...

class GoldenFrame(_message.Message):
    __slots__ = ("file", "detections")
    FILE_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    file: str
    detections: _containers.RepeatedCompositeFieldContainer[GoldenDetection]
    def __init__(self, file: _Optional[str] = ..., detections: _Optional[_Iterable[_Union[GoldenDetection, _Mapping]]] = ...) -> None: ...

class GoldenDetection(_message.Message):
    __slots__ = ("x1", "y1", "x2", "y2", "class_id", "score")
    X1_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    X2_FIELD_NUMBER: _ClassVar[int]
    Y2_FIELD_NUMBER: _ClassVar[int]
    CLASS_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    x1: float
    y1: float
    x2: float
    y2: float
    class_id: int
    score: float
    def __init__(self, x1: _Optional[float] = ..., y1: _Optional[float] = ..., x2: _Optional[float] = ..., y2: _Optional[float] = ..., class_id: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...
