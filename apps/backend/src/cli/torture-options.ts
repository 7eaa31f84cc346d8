/** The options of `oriel torture`. */
import { choice, count, flag, text } from './option.ts';

/** All options of `oriel torture`, with their defaults and help. */
export const tortureOptions = {
  'socket-path': text('PATH', 'the socket of the back-end; required unless --command names one of its own'),
  device: choice(['auto', 'fs', 'blk', 'gpu', 'rng', 'none'], 'auto', 'whose requests are sent; none: rings alone'),
  clause: text('PATTERN', "only clauses with this in their name; with '*' the whole name must match"),
  timeout: count(10, 60_000, 2000, 'how long an honest probe waits for an answer, ms'),
  command: text('CMD', 'start a back-end for each clause by this shell command, {socket} in it being the socket'),
  json: flag('a line of JSON for each clause, and one for the summary'),
  list: flag('print the clauses, and exit'),
  help: flag('print this help, and exit'),
};
