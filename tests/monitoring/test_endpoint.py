"""The endpoint, scraped over HTTP on this machine."""

import sys
import urllib.request

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keras_ood.calibration.conformal import Calibration
from keras_ood.monitoring import Monitor
from keras_ood.monitoring.endpoint import Endpoint

pytestmark = pytest.mark.once


def scrape(port):
    """What the endpoint says, `{name: value}`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {sample.name: sample.value for sample in samples if not sample.name.endswith("_created")}


def test_what_is_served():
    """Counters of images, flags and alarms, and the latest numbers; nothing once it is closed, and its port is free again."""
    monitor = Monitor(Calibration(np.random.default_rng(0).normal(size=300)))
    with Endpoint(0) as endpoint:
        endpoint.show([])
        assert scrape(endpoint.port)["keras_ood_images_total"] == 0
        records = monitor.update_scores(np.random.default_rng(1).normal(np.repeat([0, 4], [50, 20])))
        endpoint.show(records[:40])
        assert scrape(endpoint.port)["keras_ood_alarm"] == 0
        endpoint.show(records[40:])
        found = scrape(endpoint.port)
        assert found == {
            "keras_ood_images_total": 70,
            "keras_ood_flagged_total": sum(record.ood for record in records),
            "keras_ood_alarms_total": 1,
            "keras_ood_alarm": 1,
            "keras_ood_log10_martingale": pytest.approx(records[-1].log10_martingale),
            "keras_ood_score": pytest.approx(records[-1].score),
            "keras_ood_p_value": pytest.approx(records[-1].p_value),
        }
    with pytest.raises(OSError, match="refused"):
        scrape(endpoint.port)
    with Endpoint(endpoint.port) as second, pytest.raises(OSError, match="in use"):
        Endpoint(second.port)


def test_an_old_alarm_is_not_counted_again():
    """Of a monitor that goes on after its alarm: the gauge shows it from the start, the counter what is new."""
    monitor = Monitor(Calibration(np.random.default_rng(0).normal(size=300)))
    monitor.update_scores(np.full(40, 9.0))
    with Endpoint(0, alarm=monitor.alarm is not None) as endpoint:
        assert scrape(endpoint.port)["keras_ood_alarm"] == 1
        endpoint.show(monitor.update_scores(np.full(2, 9.0)))
        assert scrape(endpoint.port)["keras_ood_alarms_total"] == 0


def test_without_the_client(monkeypatch):
    """A line that says what to install."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(RuntimeError, match=r"pip install 'keras-ood\[monitor\]'"):
        Endpoint(0)
