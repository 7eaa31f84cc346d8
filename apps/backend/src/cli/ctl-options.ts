/** The options of `oriel ctl`. */
import { flag, optionalCount, text } from './option.ts';

/** Before, behind or between the words of a command. */
export const ctlOptions = {
  socket: text('PATH', 'the control socket of the running program (required)'),
  device: text('NAME', 'the device, where there are several that can be meant'),
  scanout: optionalCount(0, 15, 'the display of a screenshot (default 0)'),
  cursor: flag('a screenshot with the cursor in it'),
  help: flag('print this help, and exit'),
};
