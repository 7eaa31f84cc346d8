/** Options that every device has, as QEMU's conventions for vhost-user back-ends and virtiofsd name them. */
import { choice, count, flag, type OptionValues, optionalCount, text } from './option.ts';

const MAX_FD = 1 << 20;

/** Where the front-end comes in. */
export const socketOptions = {
  'socket-path': text('PATH', 'listen for the front-end here'),
  fd: optionalCount(3, MAX_FD, 'serve this inherited socket, connected or listening'),
  'socket-group': text('GROUP', 'name or number of a group that may connect, too'),
};

const descriptors = optionalCount(64, 1 << 30, 'descriptors that this process may use; 0: its limit is left as it is');

/** The front-end's kind, the process, its threads and its log: given once, also where one process serves several devices. */
export const processOptions = {
  frontend: choice(['qemu', 'strict', 'crosvm', 'alioth', 'virtiofs-old'], 'qemu', 'the VMM at the other end'),
  'max-mappings': optionalCount(1, 1 << 20, "mappings that this process may hold, at most the front-end's own limit"),
  'packed-rings': flag('offer packed rings beside split ones: the driver chooses'),
  'spin-us': count(0, 1000, 50, 'longest spin before sleeping, microseconds; 0: never'),
  'rlimit-nofile': {
    ...descriptors,
    parse: (name: string, given: string) => (given === '0' ? 0 : descriptors.parse(name, given)),
  },
  restart: choice(['no', 'on-failure'], 'no', 'start again what was killed or failed, where it was: as systemd does'),
  'control-socket': text('PATH', 'listen for `oriel ctl` here, for this user alone'),
  'log-level': choice(['off', 'error', 'warn', 'info', 'debug', 'trace'], 'info', 'least level of what is logged'),
  'log-format': choice(['text', 'json'], 'text', 'how log lines look'),
  syslog: flag('write the log to the system log (/dev/log) in place of standard error'),
  'print-capabilities': flag('print what this program can do as JSON, and exit'),
  help: flag('print this help, and exit'),
  version: flag('print the version, and exit'),
};

/** The options that every device has. */
export const commonOptions = { ...socketOptions, ...processOptions };

/** Their values. */
export type CommonOptionValues = OptionValues<typeof commonOptions>;
