"""What README.txt of a harvest says to whoever finds the folder."""

from serving.dataplane.harvest_plan import HarvestPlan


def readme(plan: HarvestPlan) -> str:
    """Return the text, with the limits of a plan."""
    return f"""\
Harvested frames: what cameras saw while two models disagreed about it.

THESE ARE PERSONAL DATA. Faces and number plates are in the pictures, and answers/ names the camera
and the time. Keep them only as long as the law lets you and only for what it lets you (in the EU:
the GDPR), tell the people concerned, and give nobody else access. The files are their owner's
alone (mode 0600, folders 0700): keep it so in every copy.

Limits, as of the last start of a gateway:
  frames with an agreement F1 below   {plan.below_f1:g}
  frames a minute, each gateway       {plan.max_per_minute}
    of one camera                     {plan.max_per_minute_of_camera}
  all frames together                 {plan.max_bytes / 1e6:.0f} MB, the oldest are removed first
  age                                 {plan.max_age_days:g} days

Gateways that share this folder count it anew at least once a minute, so together they may exceed
the size by what they write in one minute. No gateway, no limits: once the harvest is off, nobody
removes what is old.

To see and to delete:
  understudy harvest show {plan.folder}
  understudy harvest purge {plan.folder} --camera ID
  understudy harvest purge {plan.folder} --older-than-days 7
  understudy harvest purge {plan.folder} --all

Each folder is a YOLO data set of one route: its data.yaml is what a distillation job takes as
`data:`. Labels are a model's answers and not the truth: the teacher's where one of the two models
was a teacher, else those of the model that answered the camera. A tenth is in `val`.
"""
