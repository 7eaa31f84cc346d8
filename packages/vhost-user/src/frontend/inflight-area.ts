/** The back-end's memory of what is in flight, kept by the front-end: a back-end that dies finds it at its next start. */
import type { Fd } from '@oriel/sys';
import { encodeInflight } from '../protocol/encode.ts';
import { readInflight } from './check-reply.ts';
import { type Answer, ask, type RequestPort } from './request-port.ts';
import type { Done } from './sequence.ts';

/**
 * What GET_INFLIGHT_FD gave, for SET_INFLIGHT_FD of this connection and of those after it. Its content is the back-end's
 * own: split and packed rings have areas of different sizes, and only the back-end knows them. Disposing closes the file.
 */
export class InflightArea implements Disposable {
  readonly fd: Fd;
  /** Bytes. */
  readonly mmapSize: number;
  /** Bytes into the file. */
  readonly mmapOffset: number;
  readonly queueCount: number;
  /** Entries of the largest ring. */
  readonly queueSize: number;

  /** @param fd - given away */
  constructor(fd: Fd, place: { mmapSize: number; mmapOffset: number; queueCount: number; queueSize: number }) {
    this.fd = fd;
    this.mmapSize = place.mmapSize;
    this.mmapOffset = place.mmapOffset;
    this.queueCount = place.queueCount;
    this.queueSize = place.queueSize;
  }

  [Symbol.dispose](): void {
    this.fd.close();
  }
}

/** GET_INFLIGHT_FD: after SET_FEATURES, since packed rings want other areas. */
export function getInflight(
  port: RequestPort,
  queueCount: number,
  queueSize: number,
  done: Answer<InflightArea>,
): void {
  const request = encodeInflight({ mmapSize: 0, mmapOffset: 0, numQueues: queueCount, queueSize });
  ask(port, 'GET_INFLIGHT_FD', request, [], readInflight, (error, got) =>
    got === undefined ? done(error) : done(null, new InflightArea(got.fd, { ...got, queueCount, queueSize })),
  );
}

/** SET_INFLIGHT_FD: before rings start. */
export function setInflight(port: RequestPort, area: InflightArea, done: Done): void {
  const { fd, mmapSize, mmapOffset, queueCount, queueSize } = area;
  const payload = encodeInflight({ mmapSize, mmapOffset, numQueues: queueCount, queueSize });
  port.request('SET_INFLIGHT_FD', payload, [fd.fd], (error) => done(error));
}
