"""How the Celery application is set up.

Messages are hints: the database alone guarantees that nothing is lost or done twice. Hence early acknowledgement, no prefetch,
no results, and a visibility timeout far above every countdown. The reasons for each value are measured ones; changing one of
them means measuring again (redelivery, exits and lost messages of Celery 5.7 on Redis differ with each).
"""

import atexit
from typing import Any

import structlog
from celery import Celery, signals
from celery.schedules import crontab
from celery.utils.log import get_multiprocessing_logger
from kombu import Queue

from app.heartbeats import Heartbeat
from app.runtime import broker_address
from app.settings import Settings

log = structlog.get_logger("ordersync.worker")

VISIBILITY_TIMEOUT = 600

QUEUES = ("beat", "orders", "owed", "upkeep")
"""In the order in which a worker looks: what the clock starts and held orders wait for, what reads and checks orders, what tells shop
and ERP, and what can wait.

An ERP that takes seconds for each call thus keeps no order from being read and stored. `beat` comes first because it is little, and
because nothing could free orders that are tried again and again if they kept the reading of their items waiting, and nobody would
be told of them.
"""


def make_app(settings: Settings, *, url: str) -> Celery:
    """The application on these settings and this broker."""
    address = broker_address(url)
    made = Celery(
        "ordersync",
        broker=address.url,
        backend=address.url,
        include=["tasks.road", "tasks.upkeep", "workers.about"],
    )
    made.conf.update(_configuration(settings))
    # With its TLS parameters, for what connects by itself.
    made.conf.ordersync_broker = url
    if address.tls is not None:
        made.conf.update(broker_use_ssl=dict(address.tls), redis_backend_use_ssl=dict(address.tls))
    return made


def _configuration(settings: Settings) -> dict[str, Any]:
    connection = {
        "visibility_timeout": VISIBILITY_TIMEOUT,
        # Messages of a killed worker come back after the visibility timeout and not a hundred seconds later.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without it a publisher hangs for as long as a half-open connection does.
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 25,
        # By name: QUEUES are in alphabetical order.
        "queue_order_strategy": "sorted",
    }
    return {
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_ignore_result": True,
        "timezone": "UTC",
        "enable_utc": True,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "task_acks_late": False,
        "task_soft_time_limit": settings.soft_time_limit,
        "task_time_limit": settings.time_limit,
        "worker_soft_shutdown_timeout": settings.soft_time_limit,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 300_000,
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": connection,
        "result_backend_transport_options": {"socket_timeout": 5, "socket_connect_timeout": 2},
        "redis_socket_timeout": 5.0,
        "redis_socket_connect_timeout": 2.0,
        "task_publish_retry_policy": {
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.2,
        },
        "worker_hijack_root_logger": False,
        "task_default_queue": "orders",
        "task_routes": {
            "ordersync.acknowledge": {"queue": "owed"},
            "ordersync.export": {"queue": "owed"},
            "ordersync.tick": {"queue": "beat"},
            "ordersync.sweep": {"queue": "beat"},
            "ordersync.sync_items": {"queue": "beat"},
            "ordersync.reconcile": {"queue": "upkeep"},
            "ordersync.check_hooks": {"queue": "upkeep"},
            "ordersync.drop_deliveries": {"queue": "upkeep"},
            "ordersync.archive": {"queue": "upkeep"},
            "ordersync.recheck": {"queue": "upkeep"},
            "ordersync.report_errors": {"queue": "upkeep"},
            "ordersync.watch": {"queue": "beat"},
        },
        "task_queues": [Queue(name) for name in QUEUES],
        # The schedule is kept in memory: a file of it could be found broken at a start, and two beats could not share it.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_schedule": {
            # `expires`: ticks that pile up while no worker runs are dropped; one of them says all there is to say.
            "tick": {"task": "ordersync.tick", "schedule": 60.0, "options": {"expires": 55}},
            "sweep": {
                "task": "ordersync.sweep",
                "schedule": settings.sweep_seconds,
                "options": {"expires": max(1.0, settings.sweep_seconds)},
            },
            "watch": {"task": "ordersync.watch", "schedule": 60.0, "options": {"expires": 55}},
            "recheck": {"task": "ordersync.recheck", "schedule": 300.0, "options": {"expires": 240}},
            # At a time of day: a beat that is started anew each day would never come to the end of a day's pause.
            "drop_deliveries": {
                "task": "ordersync.drop_deliveries",
                "schedule": crontab(hour="3", minute="23"),
                "options": {"expires": 3600},
            },
            # On the first of each month, of the month that ended.
            "report_errors": {
                "task": "ordersync.report_errors",
                "schedule": crontab(day_of_month="1", hour="4", minute="7"),
                "options": {"expires": 86_400},
            },
            "archive": {
                "task": "ordersync.archive",
                "schedule": crontab(hour="2", minute="41"),
                "options": {"expires": 3600},
            },
        },
    }


@signals.setup_logging.connect
def _log_our_way(**_: Any) -> None:
    """Logging is set up where the application is made; whoever listens to this signal keeps Celery from doing it over."""
    # The pool's logger cuts itself off from all others when it is first asked for.
    get_multiprocessing_logger().propagate = True


@signals.worker_shutdown.connect
def _say_that_it_ends(**_: Any) -> None:
    """Celery prints that a worker stops, but does not log it."""
    log.info("worker_stopped")


@signals.beat_init.connect
def _show_that_beat_lives(sender: Any, **_: Any) -> None:
    """Each task that beat has sent is a sign of its life: a beat that runs but sends nothing is as good as none."""
    configuration = sender.app.conf
    pause = configuration.beat_schedule["sweep"]["schedule"]
    heart = Heartbeat(configuration.ordersync_broker, process="beat", pause=pause)

    def sent(**_: Any) -> None:
        heart.beat()

    # It lives before it has anything to send.
    sent()
    signals.after_task_publish.connect(sent, weak=False)
    atexit.register(heart.end)
