/** What INIT asked for, in all its forms, and whose words the program speaks. */
import {
  CrossDomainInit,
  CrossDomainInitLegacy,
  CrossDomainInitUuid,
  CrossDomainInitVersioned,
} from '../protocol/layout.ts';
import {
  CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND,
  CROSS_DOMAIN_ID_TYPE_EVENT,
  CROSS_DOMAIN_ID_TYPE_EVENTFD,
} from '../protocol/values.ts';

/** Where rutabaga and libkrun use one number for two things; `plain` programs use neither. */
export type Dialect = 'plain' | 'rutabaga' | 'libkrun';

export class Channel {
  readonly dialect: Dialect;
  readonly type: number;
  readonly queryRingId: number;
  readonly channelRingId: number;
  /** Of an internal socket, in hexadecimal; '' where INIT had none. */
  readonly uuid: string;

  private constructor(dialect: Dialect, type: number, queryRingId: number, channelRingId: number, uuid = '') {
    this.dialect = dialect;
    this.type = type;
    this.queryRingId = queryRingId;
    this.channelRingId = channelRingId;
    this.uuid = uuid;
  }

  /** @param view - a command of `size` bytes at `base` @returns null for a size that no program sends */
  static of(view: DataView, base: number, size: number): Channel | null {
    if (size === CrossDomainInitLegacy.byteLength) {
      const ring = CrossDomainInitLegacy.queryRingId.get(view, base);
      return new Channel('plain', CrossDomainInitLegacy.channelType.get(view, base), ring, ring);
    }
    const dialect = DIALECTS.get(size);
    if (dialect === undefined) return null;
    return new Channel(
      dialect,
      CrossDomainInit.channelType.get(view, base),
      CrossDomainInit.queryRingId.get(view, base),
      CrossDomainInit.channelRingId.get(view, base),
      dialect === 'rutabaga' ? hexOf(view, base + CrossDomainInitUuid.uuid.offset, CrossDomainInitUuid.uuid.size) : '',
    );
  }

  /** That of a process before. */
  static again(type: number, queryRingId: number, channelRingId: number): Channel {
    return new Channel('plain', type, queryRingId, channelRingId);
  }

  /** How an eventfd is announced; null: not at all, since Wayland proxies end at what they do not know. */
  get eventType(): number | null {
    if (this.type === CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND) return null;
    return this.dialect === 'libkrun' ? CROSS_DOMAIN_ID_TYPE_EVENTFD : CROSS_DOMAIN_ID_TYPE_EVENT;
  }

  get takesSockets(): boolean {
    return this.dialect === 'rutabaga' && this.type !== CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND;
  }
}

const DIALECTS = new Map<number, Dialect>([
  [CrossDomainInit.byteLength, 'plain'],
  [CrossDomainInitVersioned.byteLength, 'libkrun'],
  [CrossDomainInitUuid.byteLength, 'rutabaga'],
]);

/** Bytes in hexadecimal. */
export function hexOf(view: DataView, base: number, len: number): string {
  let text = '';
  for (let index = 0; index < len; index++)
    text += view
      .getUint8(base + index)
      .toString(16)
      .padStart(2, '0');
  return text;
}
