/** One vhost-user connection, back-end side, as its owner sees it. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { MapTransport } from '@oriel/shm-region';
import type { DirtyLog } from '@oriel/virtqueue';
import type { FsRequests } from '../dialect/fs-requests.ts';
import { VhostUserError } from '../errors.ts';
import type { FeatureSet } from '../features.ts';
import { encodeVringArea } from '../protocol/encode.ts';
import { ConnectionCore } from './core.ts';
import { freezeModules, ThawedState } from './freezer.ts';
import type { FrozenConnection } from './frozen.ts';
import type { NotifierPage } from './handler.ts';
import type { BackendOptions } from './options.ts';
import type { BackendSharedObjects } from './shared-objects.ts';

/** One connection, back-end side: both channels, negotiation, memory, ring states. Ends by itself at a protocol error or EOF. */
export class BackendConnection implements Disposable {
  readonly memory: GuestMemory;
  /** Transport for BackendRegion: SHMEM_MAP / SHMEM_UNMAP on the back channel with the visibility fence of the profile. */
  readonly mapTransport: MapTransport;
  /** FS_SYNC and FS_IO of the old virtio-fs dialect; null where the profile speaks SHMEM. */
  readonly fsRequests: FsRequests | null;
  /** Objects that devices of the VM share by UUID. */
  readonly sharedObjects: BackendSharedObjects;
  readonly #options: BackendOptions;
  readonly #core: ConnectionCore;

  /**
   * @throws RangeError for shared memory regions that the front-end cannot bear, or features that are not served; SysError
   * when the socket cannot be watched. The socket is closed then
   */
  constructor(options: BackendOptions) {
    this.#options = options;
    this.#core = new ConnectionCore(options);
    this.memory = this.#core.memory;
    this.mapTransport = this.#core.transport;
    this.fsRequests = this.#core.fsRequests;
    this.sharedObjects = this.#core.sharedObjects;
  }

  /**
   * Goes on with a connection that was frozen. Memory and negotiation are there at once; from the loop, after the caller had
   * its turn, the handler gets setFeatures, memoryChanged and setCall, and the rings start at their bases. What the device
   * refuses then ends the connection.
   * @param frozen - its descriptors are given away, also when this throws; its state may come from anywhere
   * @throws VhostUserError ERR_VU_FROZEN, or what a front-end would be refused for; as the constructor
   */
  static thaw(options: Omit<BackendOptions, 'socket'>, frozen: FrozenConnection): BackendConnection {
    const thawed = new ThawedState(options.sys, options.profile, frozen);
    try {
      const connection = new BackendConnection({ ...options, socket: thawed.socket });
      try {
        thawed.restore(connection.#core.modules);
      } catch (error) {
        connection.#core.abandon();
        throw error;
      }
      connection.#core.channel.channel.pause();
      options.loop.defer(() => connection.#core.continue(thawed.state.configPending));
      return connection;
    } finally {
      thawed.closeRest();
    }
  }

  /** Device features that the front-end accepted, without those of the transport. */
  get acceptedFeatures(): FeatureSet {
    return this.#core.negotiation.deviceFeatures;
  }

  get acceptedProtocolFeatures(): FeatureSet {
    return this.#core.negotiation.protocolFeatures;
  }

  /** True between the first ring's start and the last ring's stop. */
  get running(): boolean {
    return this.#core.rings.running;
  }

  /** Where writes to guest memory outside of chains are to be logged; null while logging is off. */
  get dirtyLog(): DirtyLog | null {
    return this.#core.logging.device;
  }

  get closed(): boolean {
    return this.#core.closed;
  }

  /**
   * CONFIG_CHANGE_MSG; only while running (dropped to a pending flag and sent at the next start otherwise).
   * @param done - 0, -EIO refused, -EOPNOTSUPP without CONFIG or back channel, -ECANCELED when the connection ended first
   */
  configChanged(done?: (error: number) => void): void {
    if (this.#core.closed) {
      throw new VhostUserError('ERR_VU_CLOSED', 'bug', 'the connection has ended');
    }
    this.#core.configChange.changed(done);
  }

  /** Tells the front-end that a ring broke: its err eventfd, or VRING_ERR. @throws RangeError for a ring that does not exist */
  ringError(index: number): void {
    if (!this.#core.rings.signalError(index)) {
      this.#core.notifications.notify('VRING_ERR', index);
    }
  }

  /**
   * Calls the driver of a ring: its call eventfd, or VRING_CALL where in-band notifications were negotiated; at the next start
   * of the rings if it cannot be sent before. For devices that do not write the eventfd themselves (`setCall`).
   * @throws RangeError for a ring that does not exist
   */
  sendCall(index: number): void {
    if (!this.#core.rings.signalCall(index)) {
      this.#core.notifications.notify('VRING_CALL', index);
    }
  }

  /**
   * VRING_HOST_NOTIFIER_MSG: the front-end lets the driver of a ring write a page of the device instead of kicking.
   * @param notifier - null takes it away
   * @param done - 0; -EIO refused, -EOPNOTSUPP without HOST_NOTIFIER or back channel, -ECANCELED not sent
   * @throws RangeError for a ring that does not exist, or a range that is not whole pages
   */
  setHostNotifier(index: number, notifier: NotifierPage | null, done: (error: number) => void): void {
    const { fd, size, offset } = notifier ?? { fd: -1, size: 0, offset: 0 };
    const { pageSize } = this.#options.sys.mem;
    if (!Number.isInteger(index) || index < 0 || index >= this.#options.handler.queueCount) {
      throw new RangeError(`no ring ${index}`);
    }
    if (notifier !== null && (size <= 0 || size % pageSize !== 0 || offset < 0 || offset % pageSize !== 0)) {
      throw new RangeError(`a notifier of ${size} bytes at ${offset}, wants whole pages`);
    }
    const payload = encodeVringArea(index, notifier !== null, size, offset);
    this.#core.requests.ask('VRING_HOST_NOTIFIER_MSG', payload, done, { fd });
  }

  /**
   * Writes the connection down and lets it go, for `thaw` in this process or another: rings are stopped (`stopRing`,
   * `suspended`), the front-end notices nothing, `disconnected` is not called. Mappings of shared memory regions stay with the
   * front-end; their ledger is the caller's to keep.
   * @throws VhostUserError ERR_VU_STATE while an answer is owed or awaited: try again later; ERR_VU_CLOSED. SysError EMFILE. The
   * connection goes on then
   */
  freeze(): FrozenConnection {
    if (this.#core.closed) {
      throw new VhostUserError('ERR_VU_CLOSED', 'bug', 'the connection has ended');
    }
    if (!this.#core.channel.idle || !this.#core.backChannel.idle || this.#core.deviceState.running) {
      throw new VhostUserError('ERR_VU_STATE', 'bug', 'a message is under way');
    }
    this.#core.rings.stopAll();
    let frozen: FrozenConnection;
    try {
      frozen = freezeModules(this.#options.sys, this.#core.modules);
    } catch (error) {
      this.#core.rings.startAll();
      throw error;
    }
    this.#core.abandon();
    return frozen;
  }

  /** Stops all rings, calls handler.disconnected, releases everything. */
  [Symbol.dispose](): void {
    this.#core.close('closed by the back-end');
  }
}
