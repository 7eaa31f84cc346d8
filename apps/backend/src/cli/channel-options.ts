/** The options of `oriel gpu` about sockets of the host that guest programs may reach. */
import { CliError } from './cli-error.ts';
import { choice, count, type OptionValues, repeated, size, text } from './option.ts';

const MIB = 1024 * 1024;
const MAX_FDS = 1 << 16;
const MAX_BLOBS = 1 << 20;

/** Channel types by name (CROSS_DOMAIN_CHANNEL_TYPE_*); plain data, since the command line is read without a device. */
export const channelTypes: Readonly<Record<string, number>> = {
  wayland: 1,
  camera: 2,
  pipewire: 0x10,
  x11: 0x11,
  'dbus-session': 0x12,
  'dbus-system': 0x13,
};

/** One named socket. */
export interface ChannelChoice {
  readonly name: string;
  readonly type: number;
  readonly path: string;
}

/** @throws CliError */
function parseChannel(name: string, given: string): ChannelChoice {
  const at = given.indexOf('=');
  const channel = given.slice(0, Math.max(at, 0));
  const path = given.slice(at + 1);
  if (!Object.hasOwn(channelTypes, channel) || path === '' || path.includes('\0')) {
    const names = Object.keys(channelTypes).join(', ');
    throw new CliError(
      `--${name}=${given}: give NAME=PATH, such as wayland=/run/user/1000/wayland-0; names are ${names}`,
    );
  }
  return { name: channel, type: channelTypes[channel]!, path };
}

/** A comma divides where one of the names follows: other commas belong to a path. */
const NEXT = new RegExp(`,(?=(?:${Object.keys(channelTypes).join('|')})=)`);

/** `wayland=PATH,x11=PATH`: one option may name several. */
function parseChannels(name: string, given: string): readonly ChannelChoice[] {
  return given.split(NEXT).map((one) => parseChannel(name, one));
}

export const channelOptions = {
  channel: repeated(
    'NAME=PATH',
    'let guest programs connect to this socket (wayland, x11, pipewire, ...); may be given several times',
    parseChannels,
  ),
  'wayland-security-context': choice(
    ['auto', 'require', 'off'],
    'auto',
    'sandbox the guests in the compositor; auto: where it can',
  ),
  'wayland-app-id': text('ID', 'what the security context calls the application'),
  'wayland-instance-id': text('ID', 'what it calls this VM'),
  'channel-max-fds': count(4, MAX_FDS, 256, 'descriptors that are held for one guest program'),
  'channel-max-bytes': size(256 * MIB, 'host memory for one guest program: its pictures, copied files, what waits'),
  'channel-max-blobs': count(1, MAX_BLOBS, 1024, 'blobs of one guest program at a time'),
};

export type ChannelOptionValues = OptionValues<typeof channelOptions>;
