"""A video takes minutes: begin it, watch its job, save what it made. Ctrl-C cancels the job."""

import sys
from pathlib import Path

from _router import connect

from indoxrouter import APIError, Client, DeadlineExceededError, VideoJob

PROMPT = "Waves roll against a lighthouse at dusk"
FOLDER = Path("demo-output")


def show(job: VideoJob) -> None:
    print(f"  {job.status}, {'?' if job.progress is None else job.progress} %", flush=True)


def watch(client: Client, job_id: str) -> VideoJob:
    """The job as it ended."""
    try:
        return client.wait_for_video_job(job_id, poll=1, deadline=900, on_update=show)
    except DeadlineExceededError:  # it goes on at the router all the same
        sys.exit(f"Not done in 15 minutes. Look again later: client.video_job({job_id!r})")
    except KeyboardInterrupt:
        print("\nCtrl-C: cancelling the job", flush=True)
        try:
            return client.cancel_video_job(job_id)
        except APIError as error:  # too late: it has ended meanwhile
            print(f"  {error.message}")
            return client.video_job(job_id)


with connect() as client:
    FOLDER.mkdir(exist_ok=True)
    begun = client.video(PROMPT, duration=4, aspect_ratio="16:9")  # the router refuses what a model can't do
    print(f"\nCost, if it is made: {'unknown' if begun.cost is None else f'{begun.cost:.8f} US dollars'}")
    if begun.job_id is None:  # a router that makes videos at once
        paths = begun.save(FOLDER, overwrite=True)
    else:
        print(f"Job {begun.job_id}:", flush=True)
        job = watch(client, begun.job_id)
        if job.status != "completed":  # failed or cancelled: that is an answer, and no exception
            sys.exit(f"No video: the job's status is {job.status}{f' ({job.error})' if job.error else ''}.")
        paths = [job.save(FOLDER, overwrite=True)]
    for path in paths:
        print(f"Video: {path.absolute()}, {path.stat().st_size:,} bytes")
