"""A monitor's numbers over HTTP, in the text format of Prometheus."""

from collections.abc import Iterable
from types import TracebackType

from keras_ood.monitoring.monitor import Record


class Endpoint:
    """Serves what a monitor has said to whoever asks for `http://host:port/metrics`; a context manager.

    Counters, which begin at 0 with the process: `keras_ood_images_total`, `keras_ood_flagged_total` (p-value at most `fpr`),
    `keras_ood_alarms_total`. Gauges: `keras_ood_alarm` (1 while there is one), `keras_ood_log10_martingale`,
    `keras_ood_score` and `keras_ood_p_value` of the latest image.

    Args:
        port: 0 for any that is free.
        host: Address to listen on; `"0.0.0.0"` for scrapes from other machines, who may then all read.
        alarm: Whether the monitor's alarm is raised already: it is not counted again.

    Attributes:
        port: The one that is listened on.

    Raises:
        RuntimeError: Without prometheus-client.
        OSError: The port cannot be had.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", alarm: bool = False) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise RuntimeError("Metrics need prometheus-client: pip install 'keras-ood[monitor]'") from error
        registry = prometheus_client.CollectorRegistry()

        def counter(name: str, text: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(f"keras_ood_{name}", text, registry=registry)

        def gauge(name: str, text: str) -> prometheus_client.Gauge:
            return prometheus_client.Gauge(f"keras_ood_{name}", text, registry=registry)

        self._images = counter("images", "Images watched")
        self._flagged = counter("flagged", "Images with a p-value of at most fpr")
        self._alarms = counter("alarms", "Alarms raised")
        self._alarm = gauge("alarm", "1 while the alarm is raised")
        self._latest = {
            "log10_martingale": gauge("log10_martingale", "Decimal logarithm of the evidence of a change"),
            "score": gauge("score", "Score of the latest image"),
            "p_value": gauge("p_value", "P-value of the latest image against the calibration"),
        }
        self._raised = alarm
        self._alarm.set(alarm)
        self._server, self._thread = prometheus_client.start_http_server(port, host, registry)
        self.port = int(self._server.server_port)

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, records: Iterable[Record]) -> None:
        """Count in what a monitor has said of further images."""
        record = None
        for record in records:
            self._images.inc()
            self._flagged.inc(record.ood)
            self._alarms.inc(record.alarm and not self._raised)
            self._raised = record.alarm
        if record is not None:
            self._alarm.set(record.alarm)
            for name, latest in self._latest.items():
                latest.set(getattr(record, name))
