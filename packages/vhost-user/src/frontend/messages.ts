/** Messages that a front-end sends as they are, one call each; what holds state stands in the connection. */
import type { Fd } from '@oriel/sys';
import { VHOST_USER_VRING_NOFD_MASK, VhostUserShared } from '../layout.ts';
import { encodeConfig, encodeSingleRegion, encodeU64, encodeVringState } from '../protocol/encode.ts';
import { readConfigBytes, readMaybeFd, readSlots, readStatus } from './check-reply.ts';
import { CryptoMessages } from './crypto.ts';
import { setLogFd } from './dirty-logging.ts';
import { getInflight, type InflightArea, setInflight } from './inflight-area.ts';
import { IotlbMessages } from './iotlb.ts';
import { NetMessages } from './net.ts';
import { PostcopyMessages } from './postcopy.ts';
import { type Answer, ask, NO_PAYLOAD, type RequestPort } from './request-port.ts';
import type { ReplyHandler } from './requester.ts';
import { type RingStart, setRingAddresses } from './ring-steps.ts';
import type { Done } from './sequence.ts';
import type { RegionName } from './shared-region.ts';

/** The part of a connection that needs nothing but to send. A message whose feature was not negotiated ends with ERR_VU_GATE. */
export abstract class FrontendMessages {
  protected readonly port: RequestPort = {
    request: (name, payload, fds, done) => this.send(name, payload, fds, done),
  };
  /** IOTLB_MSG, for devices behind an IOMMU. */
  readonly iotlb = new IotlbMessages(this.port);
  readonly crypto = new CryptoMessages(this.port);
  readonly postcopy = new PostcopyMessages(this.port);
  readonly net = new NetMessages(this.port);

  /** RESET_OWNER: deprecated; back-ends of today disable their rings or do nothing. */
  resetOwner(done: Done): void {
    this.ack('RESET_OWNER', NO_PAYLOAD, [], done);
  }

  /** Reads configuration bytes [offset, offset + size). */
  getConfig(offset: number, size: number, done: Answer<Uint8Array>): void {
    ask(this.port, 'GET_CONFIG', encodeConfig(offset, size, 0), [], readConfigBytes(size), done);
  }

  setConfig(offset: number, bytes: Uint8Array, done: Done): void {
    this.ack('SET_CONFIG', encodeConfig(offset, bytes.length, 0, bytes), [], done);
  }

  removeMemoryRegion(region: RegionName, done: Done): void {
    this.ack('REM_MEM_REG', encodeSingleRegion({ ...region, mmapOffset: 0 }), [], done);
  }

  /** GET_MAX_MEM_SLOTS: the regions that the back-end bears. */
  getMaxMemorySlots(done: Answer<number>): void {
    ask(this.port, 'GET_MAX_MEM_SLOTS', NO_PAYLOAD, [], readSlots, done);
  }

  /** Names a running ring's addresses again, with or without logging of its used ring. */
  setRingAddresses(ring: RingStart, done: Done): void {
    setRingAddresses(this.port, ring, done);
  }

  /** SET_VRING_ERR: the eventfd for a broken ring, lent for the call; -1: none. */
  setRingError(index: number, fd: number, done: Done): void {
    const none = fd < 0;
    this.ack('SET_VRING_ERR', encodeU64(none ? index | VHOST_USER_VRING_NOFD_MASK : index), none ? [] : [fd], done);
  }

  /** SET_VRING_ENDIAN: before the ring starts, for legacy devices. */
  setRingEndian(index: number, order: 'little' | 'big', done: Done): void {
    this.ack('SET_VRING_ENDIAN', encodeVringState(index, order === 'big' ? 1 : 0), [], done);
  }

  /** VRING_KICK: a kick without an eventfd (INBAND_NOTIFICATIONS). */
  kickRing(index: number, done: Done): void {
    this.ack('VRING_KICK', encodeVringState(index, 0), [], done);
  }

  setStatus(status: number, done: Done): void {
    this.ack('SET_STATUS', encodeU64(status), [], done);
  }

  getStatus(done: Answer<number>): void {
    ask(this.port, 'GET_STATUS', NO_PAYLOAD, [], readStatus, done);
  }

  resetDevice(done: Done): void {
    this.ack('RESET_DEVICE', NO_PAYLOAD, [], done);
  }

  /** GET_INFLIGHT_FD. @param done - the area, given away: keep it as long as a back-end may have to be replaced */
  getInflight(queueCount: number, queueSize: number, done: Answer<InflightArea>): void {
    getInflight(this.port, queueCount, queueSize, done);
  }

  /** SET_INFLIGHT_FD, before rings start. @param area - lent for the call */
  setInflight(area: InflightArea, done: Done): void {
    setInflight(this.port, area, done);
  }

  /** SET_LOG_FD: an eventfd written when something was logged, lent for the call. */
  setLogFd(fd: number, done: Done): void {
    setLogFd(this.port, fd, done);
  }

  /**
   * GET_SHARED_OBJECT. @param done - the descriptor, given away; null: the back-end has no such object
   * @throws RangeError for a UUID that is not 16 bytes
   */
  getSharedObject(uuid: Uint8Array, done: Answer<Fd | null>): void {
    if (uuid.length !== VhostUserShared.byteLength) {
      throw new RangeError(`a UUID of ${uuid.length} bytes`);
    }
    ask(this.port, 'GET_SHARED_OBJECT', uuid, [], readMaybeFd, done);
  }

  /** GPU_SET_SOCKET: the back-end's end of a display channel, lent for the call. */
  setGpuSocket(fd: number, done: Done): void {
    this.ack('GPU_SET_SOCKET', NO_PAYLOAD, [fd], done);
  }

  /** Sends a message whose gate is open. @param fds - lent for the call */
  protected abstract send(name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler): void;

  protected ack(name: string, payload: Uint8Array, fds: readonly number[], done: Done): void {
    this.send(name, payload, fds, (error) => done(error));
  }
}
