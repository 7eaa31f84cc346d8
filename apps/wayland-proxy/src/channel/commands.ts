/** Commands of the cross-domain protocol, put together in memory that the kernel copies from. */
import type { SysMem } from '@oriel/sys';
import { Mapping } from '@oriel/sys';
import { type Identifier, MAX_SEND_IDENTIFIERS, MAX_SEND_LEN } from './host-channel.ts';
import {
  CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND,
  CROSS_DOMAIN_CMD_GET_IMAGE_REQUIREMENTS,
  CROSS_DOMAIN_CMD_INIT,
  CROSS_DOMAIN_CMD_POLL,
  CROSS_DOMAIN_CMD_SEND,
  CROSS_DOMAIN_CMD_WRITE,
  CrossDomainGetImageRequirements,
  CrossDomainHeader,
  CrossDomainInit,
  CrossDomainPoll,
  CrossDomainReadWrite,
  CrossDomainSendReceive,
} from './protocol.ts';

/** drm_fourcc.h: one byte a pixel, the shape of plain memory. */
const DRM_FORMAT_R8 = 0x2020_3852;
/** gbm.h */
const GBM_BO_USE_SCANOUT = 1;
const GBM_BO_USE_LINEAR = 1 << 4;

/** One command at a time: each method gives its length, and leaves it at `addr`. */
export class CommandBuffer implements Disposable {
  readonly #memory: Mapping;
  readonly #view: DataView;

  /** @throws SysError ENOMEM */
  constructor(mem: SysMem) {
    this.#memory = Mapping.anonymous(mem, Math.max(mem.pageSize, CrossDomainSendReceive.byteLength + MAX_SEND_LEN));
    this.#view = new DataView(this.#memory.u8.buffer);
  }

  get addr(): number {
    return this.#memory.addr;
  }

  /** @param queryRing - resource id, as `channelRing` */
  init(queryRing: number, channelRing: number): number {
    const view = this.#begin(CROSS_DOMAIN_CMD_INIT, CrossDomainInit.byteLength);
    CrossDomainInit.queryRingId.set(view, 0, queryRing);
    CrossDomainInit.channelRingId.set(view, 0, channelRing);
    CrossDomainInit.channelType.set(view, 0, CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND);
    return CrossDomainInit.byteLength;
  }

  poll(): number {
    this.#begin(CROSS_DOMAIN_CMD_POLL, CrossDomainPoll.byteLength);
    return CrossDomainPoll.byteLength;
  }

  /** What memory of `len` bytes takes: a picture of one row. */
  imageRequirements(len: number): number {
    const view = this.#begin(CROSS_DOMAIN_CMD_GET_IMAGE_REQUIREMENTS, CrossDomainGetImageRequirements.byteLength);
    CrossDomainGetImageRequirements.width.set(view, 0, len);
    CrossDomainGetImageRequirements.height.set(view, 0, 1);
    CrossDomainGetImageRequirements.drmFormat.set(view, 0, DRM_FORMAT_R8);
    CrossDomainGetImageRequirements.flags.set(view, 0, GBM_BO_USE_SCANOUT | GBM_BO_USE_LINEAR);
    return CrossDomainGetImageRequirements.byteLength;
  }

  /** @throws RangeError for more than one SEND takes: a bug */
  send(data: Uint8Array, identifiers: readonly Identifier[]): number {
    if (identifiers.length > MAX_SEND_IDENTIFIERS)
      throw new RangeError(`${identifiers.length} descriptors in one SEND`);
    const head = CrossDomainSendReceive.byteLength;
    const view = this.#begin(CROSS_DOMAIN_CMD_SEND, head, data);
    CrossDomainSendReceive.numIdentifiers.set(view, 0, identifiers.length);
    CrossDomainSendReceive.opaqueDataSize.set(view, 0, data.length);
    for (let index = 0; index < identifiers.length; index++) {
      const { id, type, size } = identifiers[index]!;
      CrossDomainSendReceive.identifiers.set(view, 0, index, id);
      CrossDomainSendReceive.identifierTypes.set(view, 0, index, type);
      CrossDomainSendReceive.identifierSizes.set(view, 0, index, size);
    }
    return head + data.length;
  }

  write(pipe: number, data: Uint8Array, hangUp: boolean): number {
    const head = CrossDomainReadWrite.byteLength;
    const view = this.#begin(CROSS_DOMAIN_CMD_WRITE, head, data);
    CrossDomainReadWrite.identifier.set(view, 0, pipe);
    CrossDomainReadWrite.hangUp.set(view, 0, hangUp ? 1 : 0);
    CrossDomainReadWrite.opaqueDataSize.set(view, 0, data.length);
    return head + data.length;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  #begin(cmd: number, head: number, data?: Uint8Array): DataView {
    const { u8 } = this.#memory;
    u8.fill(0, 0, head);
    if (data !== undefined) u8.set(data, head);
    CrossDomainHeader.cmd.set(this.#view, 0, cmd);
    CrossDomainHeader.cmdSize.set(this.#view, 0, head + (data?.length ?? 0));
    return this.#view;
  }
}
