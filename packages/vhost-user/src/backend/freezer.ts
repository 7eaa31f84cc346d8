/** Writes a connection down and reads one back: the modules' states as plain data, their descriptors in a row. */
import type { MemoryRegion } from '@oriel/guest-memory';
import { check, type Fd, Fd as FdOwner, MFD_CLOEXEC, type Sys } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import { FeatureSet } from '../features.ts';
import type { ReceivedPart } from '../message-reader.ts';
import type { FrontendProfile } from '../profiles.ts';
import type { BackChannel } from './back-channel.ts';
import type { ConfigChange } from './config-change.ts';
import type { FrozenConnection } from './frozen.ts';
import { freezeRings, thawRings } from './frozen-rings.ts';
import { type FrozenRegionState, type FrozenState, readFrozenState } from './frozen-state.ts';
import type { BackendHandler } from './handler.ts';
import type { Inflight } from './inflight.ts';
import type { LogMemory } from './log-memory.ts';
import type { MainChannel } from './main-channel.ts';
import type { FrozenRegion, MemoryTable } from './memory-table.ts';
import type { Negotiation } from './negotiation.ts';
import type { Notifications } from './notifications.ts';
import type { Rings } from './rings.ts';
import { connectedSocket } from './socket-requests.ts';

/** What a connection consists of. */
export interface ConnectionModules {
  readonly profile: FrontendProfile;
  readonly handler: BackendHandler;
  readonly channel: MainChannel;
  readonly backChannel: BackChannel;
  readonly negotiation: Negotiation;
  readonly table: MemoryTable;
  readonly inflight: Inflight;
  readonly log: LogMemory;
  readonly rings: Rings;
  readonly configChange: ConfigChange;
}

/** Collects descriptors and gives them places. */
class Places {
  readonly fds: Fd[] = [];

  put(fd: Fd): number {
    return this.fds.push(fd) - 1;
  }

  closeAll(): void {
    for (const fd of this.fds) {
      fd.close();
    }
  }
}

type SysFreezer = Pick<Sys, 'fd' | 'mem' | 'socket' | 'file'>;

/**
 * Takes a connection apart whose rings are stopped and which owes nothing. Its modules keep what they hold beside the sockets
 * and the rings' descriptors, which are given away.
 * @param wereRunning - by ring, whether it ran before it was stopped for this
 * @throws SysError EMFILE: nothing was taken
 */
export function freezeModules(sys: SysFreezer, modules: ConnectionModules): FrozenConnection {
  const { negotiation, table, inflight, log, rings, channel, backChannel, configChange, profile } = modules;
  const places = new Places();
  const copy = (fd: number): number => (fd < 0 ? -1 : places.put(new FdOwner(sys.fd, check(sys.fd.dup(fd), 'dup'))));
  try {
    const regions = table.memory.regions.map((region) => freezeRegion(region, copy));
    const frozenInflight = inflight.held === null ? null : { ...inflight.held.wire, fd: copy(inflight.held.fd) };
    const held = log.held;
    const frozenLog = held === null ? null : { ...held.wire, fd: copy(held.fd), eventFd: copy(held.eventFd) };
    const give = (fd: Fd | null): number => (fd === null ? -1 : places.put(new FdOwner(sys.fd, fd.take())));
    const main = channel.channel.release();
    const back = backChannel.release();
    for (const fd of back?.received.fds ?? []) {
      // Nothing was asked: whatever the front-end began to say there, it is wrong.
      fd.close();
    }
    const state: FrozenState = {
      version: 1,
      profile: profile.name,
      features: [negotiation.features.lo, negotiation.features.hi],
      protocolFeatures: [negotiation.protocolFeatures.lo, negotiation.protocolFeatures.hi],
      status: negotiation.status,
      configPending: configChange.pending,
      socket: give(main.socket),
      received: { hex: Buffer.from(main.received.bytes).toString('hex'), fds: main.received.fds.map(give) },
      backChannel: back === null ? -1 : give(back.socket),
      regions,
      inflight: frozenInflight,
      log: frozenLog,
      rings: freezeRings(rings.list, give),
    };
    return { state, fds: places.fds };
  } catch (error) {
    places.closeAll();
    throw error;
  }
}

function freezeRegion(region: MemoryRegion, copy: (fd: number) => number): FrozenRegionState {
  const { gpa, size, userAddr, mmapOffset, foreign } = region;
  return { gpa, size, userAddr, mmapOffset, fd: foreign ? -1 : copy(region.fd) };
}

/** A frozen connection that was read and checked, with its descriptors. */
export class ThawedState {
  readonly state: FrozenState;
  readonly socket: Fd;
  readonly #sys: SysFreezer;
  readonly #fds: readonly Fd[];

  /**
   * @param frozen - its descriptors are given away, also when this throws
   * @throws VhostUserError ERR_VU_FROZEN
   */
  constructor(sys: SysFreezer, profile: FrontendProfile, frozen: FrozenConnection) {
    this.#sys = sys;
    this.#fds = frozen.fds;
    try {
      this.state = readFrozenState(frozen.state, frozen.fds.length);
      if (this.state.profile !== profile.name) {
        throw new VhostUserError('ERR_VU_FROZEN', 'bug', `front-end ${this.state.profile}, here ${profile.name}`);
      }
      this.socket = this.#take(this.state.socket)!;
    } catch (error) {
      this.closeRest();
      throw error;
    }
  }

  /**
   * Gives the modules of a new connection what the old one's had. Nothing is told to the device.
   * @throws VhostUserError what a front-end would be refused for
   */
  restore(modules: ConnectionModules): void {
    const { negotiation, table, inflight, log, rings, channel, backChannel } = modules;
    const { state } = this;
    negotiation.restore(new FeatureSet(...state.features), new FeatureSet(...state.protocolFeatures), state.status);
    channel.channel.resumeWith(this.#received());
    table.restore(this.#regions());
    if (state.inflight !== null) {
      const { fd, ...wire } = state.inflight;
      inflight.install(wire, this.#take(fd)!);
    }
    if (state.log !== null) {
      const { fd, eventFd, ...wire } = state.log;
      log.install(wire, this.#take(fd)!);
      const event = this.#take(eventFd);
      if (event !== null) {
        log.installEventFd(event);
      }
    }
    const back = this.#take(state.backChannel);
    if (back !== null) {
      backChannel.attach(connectedSocket(this.#sys, back, 'back channel'));
    }
    const context = { handler: modules.handler, negotiated: negotiation, memory: table.memory };
    thawRings(rings.list, state.rings, context, (place) => this.#take(place));
  }

  /** Closes what nobody took. */
  closeRest(): void {
    for (const fd of this.#fds) {
      fd.close();
    }
  }

  #received(): ReceivedPart {
    const { hex, fds } = this.state.received;
    return { bytes: Buffer.from(hex, 'hex'), fds: fds.map((place) => this.#take(place)!) };
  }

  #regions(): FrozenRegion[] {
    const regions: FrozenRegion[] = [];
    try {
      for (const region of this.state.regions) {
        regions.push(this.#region(region));
      }
      return regions;
    } catch (error) {
      for (const { fd } of regions) {
        fd.close();
      }
      throw error;
    }
  }

  /** For one whose memory was not needed, an empty file stands in: it is closed at once. */
  #region({ fd, ...region }: FrozenRegionState): FrozenRegion {
    const foreign = fd < 0;
    const owner = foreign
      ? new FdOwner(this.#sys.fd, check(this.#sys.mem.memfdCreate('foreign', MFD_CLOEXEC), 'memfd_create'))
      : this.#take(fd)!;
    return { ...region, foreign, fd: owner };
  }

  #take(place: number): Fd | null {
    return place < 0 ? null : new FdOwner(this.#sys.fd, this.#fds[place]!.take());
  }
}

/**
 * Tells the device of a thawed connection what it would have heard from the front-end, starts the rings, and reads on.
 * @param settled - the memory is in effect
 * @throws what the device throws
 */
export function tellDevice(
  { handler, negotiation, configChange, rings, channel }: ConnectionModules,
  notifications: Notifications,
  configPending: boolean,
  settled: () => void,
): void {
  if (!negotiation.features.isEmpty) {
    handler.setFeatures(negotiation.deviceFeatures);
  }
  handler.memoryChanged();
  settled();
  if (configPending) {
    configChange.changed();
  }
  rings.startAll();
  // What an earlier process did not get to say in band is said again.
  for (const index of rings.withoutCall) {
    notifications.notify('VRING_CALL', index);
  }
  channel.channel.resume();
}
