/** Metrics the sidecar itself exports, under Thanos' names. Servers, bucket and shipper have their own. */
import type { Counter, Gauge, Histogram, Metrics } from '@gauntlet/service-kit';

export interface SidecarMetrics {
  /** 1 while Prometheus answers. */
  readonly prometheusUp: Gauge;
  /** Frames per streamed remote read. */
  readonly framesRead: Histogram;
  /** Remote-read answers that went to disk because their reader was slow. */
  readonly spooledAnswers: Counter;
  /** Frames of remote-read answers that were decoded, by `thread`: main or worker. */
  readonly decodedFrames: Counter;
  /** Chunks that were copied and hashed, or encoded, by `thread`. */
  readonly convertedChunks: Counter;
}

/** Declares them. */
export function createSidecarMetrics(metrics: Metrics): SidecarMetrics {
  return {
    prometheusUp: metrics.gauge({ name: 'thanos_sidecar_prometheus_up', help: 'Boolean indicator whether the sidecar can reach its Prometheus peer.' }),
    framesRead: metrics.histogram({ name: 'prometheus_store_received_frames', help: 'Number of frames received per streamed response.', buckets: [10, 100, 1000, 10000, 100000] }),
    spooledAnswers: metrics.counter({ name: 'gauntlet_sidecar_spooled_answers_total', help: 'Remote-read answers that were put on disk because their reader did not keep up.' }),
    decodedFrames: byThread(metrics, 'gauntlet_sidecar_decoded_frames_total', 'Frames of remote-read answers decoded'),
    convertedChunks: byThread(metrics, 'gauntlet_sidecar_converted_chunks_total', 'Chunks of remote-read answers converted to those of Series answers'),
  };
}

function byThread(metrics: Metrics, name: string, help: string): Counter {
  const counter = metrics.counter({ name, help: `${help}, by kind of thread. The main thread must stay at 0.`, labels: ['thread'] });
  counter.with({ thread: 'main' }).inc(0);
  counter.with({ thread: 'worker' }).inc(0);
  return counter;
}
