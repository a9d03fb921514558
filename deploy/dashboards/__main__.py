"""`python -m deploy.dashboards`: see `make dashboards`."""

from deploy.dashboards.boards import BOARDS, FOLDER, file_of

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in BOARDS:
        file_of(one).write_text(one.json(), encoding="utf-8")
