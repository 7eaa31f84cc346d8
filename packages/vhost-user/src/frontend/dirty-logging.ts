/** SET_LOG_BASE, SET_LOG_FD, and VHOST_F_LOG_ALL in SET_FEATURES: dirty logging switched on and off. */
import { VhostUserError } from '../errors.ts';
import { type FeatureSet, VHOST_F_LOG_ALL } from '../features.ts';
import { encodeLog, encodeWords } from '../protocol/encode.ts';
import { readLogAnswer } from './check-reply.ts';
import type { DirtyBitmap } from './dirty-bitmap.ts';
import { ask, NO_PAYLOAD, type RequestPort } from './request-port.ts';
import { type Done, sequence } from './sequence.ts';

/** What logging needs of the connection. */
export interface LoggingPort extends RequestPort {
  readonly offered: FeatureSet;
  /** Accepted device features, bit 30 included. */
  readonly features: FeatureSet;
}

/** SET_LOG_BASE, then SET_FEATURES with LOG_ALL. */
export function startLog(port: LoggingPort, bitmap: DirtyBitmap, done: Done): void {
  if (!port.offered.has(VHOST_F_LOG_ALL)) {
    const detail = 'the back-end does not offer VHOST_F_LOG_ALL';
    done(new VhostUserError('ERR_VU_GATE', 'bug', detail, { message: 'SET_LOG_BASE' }));
    return;
  }
  sequence(
    [
      (next) =>
        ask(port, 'SET_LOG_BASE', encodeLog(bitmap.size, 0), [bitmap.fd], readLogAnswer, (error) => next(error)),
      (next) => setFeatures(port, port.features.with(VHOST_F_LOG_ALL), next),
    ],
    done,
  );
}

/** SET_FEATURES without LOG_ALL: the back-end may drop its mapping. */
export function stopLog(port: LoggingPort, done: Done): void {
  setFeatures(port, port.features.without(VHOST_F_LOG_ALL), done);
}

/** SET_LOG_FD: an eventfd that is written when something was logged. */
export function setLogFd(port: RequestPort, fd: number, done: Done): void {
  port.request('SET_LOG_FD', NO_PAYLOAD, [fd], (error) => done(error));
}

function setFeatures(port: RequestPort, features: FeatureSet, done: Done): void {
  port.request('SET_FEATURES', encodeWords(features.lo, features.hi), [], (error) => done(error));
}
