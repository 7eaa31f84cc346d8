/** Device state for migration (messages 42 and 43): a pipe to write it to or read it from, and what came of that. */
import {
  AT_EMPTY_PATH,
  F_GETFL,
  O_ACCMODE,
  O_RDONLY,
  O_WRONLY,
  S_IFIFO,
  S_IFMT,
  S_IFSOCK,
  STATX_TYPE,
  Statx,
  type Sys,
} from '@oriel/sys';
import { VhostUserError, type VhostUserErrorCode } from '../errors.ts';
import {
  VHOST_TRANSFER_STATE_DIRECTION_LOAD,
  VHOST_TRANSFER_STATE_DIRECTION_SAVE,
  VHOST_TRANSFER_STATE_PHASE_STOPPED,
  VHOST_USER_VRING_NOFD_MASK,
  VhostUserTransferDeviceState,
} from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { encodeU64 } from '../protocol/encode.ts';
import type { BackendHandler } from './handler.ts';
import { PendingAnswer, type RequestHandlers } from './requests.ts';

/** What the transfer needs of the connection. */
export interface DeviceStateOptions {
  readonly sys: Pick<Sys, 'fd' | 'file'>;
  readonly handler: BackendHandler;
  /** True while a ring runs: the device must be suspended throughout. */
  readonly ringsRun: () => boolean;
}

/** 'none' since the connection began, or since the last one was asked for. */
type Transfer = 'none' | 'running' | 'good' | 'failed';

const NO_PATH = new Uint8Array(1);

/** One transfer at a time. */
export class DeviceState {
  readonly handlers: RequestHandlers = {
    SET_DEVICE_STATE_FD: (message) => this.#begin(message),
    CHECK_DEVICE_STATE: () => this.#check(),
  };
  readonly #options: DeviceStateOptions;
  #transfer: Transfer = 'none';
  #asked: PendingAnswer | null = null;

  constructor(options: DeviceStateOptions) {
    this.#options = options;
  }

  /** A transfer is under way. */
  get running(): boolean {
    return this.#transfer === 'running';
  }

  /** @throws VhostUserError ERR_VU_STATE during a transfer: no ring may start */
  checkStart(): void {
    if (this.running) {
      throw refusal('ERR_VU_STATE', 'a ring starts while the device state is transferred');
    }
  }

  /** The answer says that the descriptor of the message is used, and none comes back. */
  #begin(message: IncomingMessage): Uint8Array {
    const { view } = message;
    const direction = VhostUserTransferDeviceState.direction.get(view, 0);
    const phase = VhostUserTransferDeviceState.phase.get(view, 0);
    const fd = message.fds.take(0);
    try {
      this.#checkRequest(direction, phase, fd.fd);
      this.#options.sys.fd.setNonBlocking(fd.fd, true);
    } catch (error) {
      fd.close();
      throw error;
    }
    this.#transfer = 'running';
    const { handler } = this.#options;
    try {
      if (direction === VHOST_TRANSFER_STATE_DIRECTION_SAVE) {
        handler.saveState!(fd, (ok) => this.#end(ok));
      } else {
        handler.loadState!(fd, (ok) => this.#end(ok));
      }
    } catch (error) {
      this.#transfer = 'failed';
      throw error;
    }
    return encodeU64(VHOST_USER_VRING_NOFD_MASK);
  }

  #checkRequest(direction: number, phase: number, fd: number): void {
    if (direction > VHOST_TRANSFER_STATE_DIRECTION_LOAD || phase !== VHOST_TRANSFER_STATE_PHASE_STOPPED) {
      throw refusal('ERR_VU_STATE', `direction ${direction}, phase ${phase}`);
    }
    if (this.#options.ringsRun()) {
      throw refusal('ERR_VU_STATE', 'device state while rings run');
    }
    if (this.running) {
      throw refusal('ERR_VU_STATE', 'a transfer is under way');
    }
    const { file, fd: fds } = this.#options.sys;
    const stat = new DataView(new ArrayBuffer(Statx.byteLength));
    const result = file.statx(fd, NO_PATH, AT_EMPTY_PATH, STATX_TYPE, stat);
    const kind = result === 0 ? Statx.stxMode.get(stat, 0) & S_IFMT : 0;
    if (kind !== S_IFIFO && kind !== S_IFSOCK) {
      throw refusal('ERR_VU_DESCRIPTOR', 'the descriptor is no pipe or socket');
    }
    const access = fds.fcntl(fd, F_GETFL, 0) & O_ACCMODE;
    if (access === (direction === VHOST_TRANSFER_STATE_DIRECTION_SAVE ? O_RDONLY : O_WRONLY)) {
      throw refusal('ERR_VU_DESCRIPTOR', `the wrong end of a pipe for direction ${direction}`);
    }
  }

  /** Asked while the device still reads: the answer waits for it. */
  #check(): Uint8Array | PendingAnswer {
    if (this.running) {
      this.#asked = new PendingAnswer();
      return this.#asked;
    }
    return this.#result();
  }

  #end(ok: boolean): void {
    if (!this.running) {
      return;
    }
    this.#transfer = ok ? 'good' : 'failed';
    const asked = this.#asked;
    this.#asked = null;
    if (asked !== null) {
      try {
        asked.give(this.#result());
      } catch (error) {
        asked.fail(error);
      }
    }
  }

  /** @throws VhostUserError unless the transfer went well; it is forgotten */
  #result(): Uint8Array {
    const transfer = this.#transfer;
    this.#transfer = 'none';
    if (transfer === 'none') {
      throw refusal('ERR_VU_STATE', 'no device state was transferred');
    }
    if (transfer === 'failed') {
      throw new VhostUserError('ERR_VU_DEVICE', 'device', 'the device state could not be transferred');
    }
    return encodeU64(0);
  }
}

function refusal(code: VhostUserErrorCode, detail: string): VhostUserError {
  return new VhostUserError(code, 'frontend', detail);
}
