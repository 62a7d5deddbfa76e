"""Naive local times, in a zone that is not UTC."""

from tests.settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "Asia/Kathmandu"
