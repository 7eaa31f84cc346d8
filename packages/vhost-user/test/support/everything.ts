/** A front-end that has negotiated all that it can. */
import { FrontendSetup } from './frontend-setup.ts';

/** Every protocol feature but XEN_MMAP. */
export const EVERYTHING = 0xfdffff;
/** With LOG_ALL and ACCESS_PLATFORM among them. */
const DEVICE_FEATURES = 0x3_4400_0001;

export function everything(): FrontendSetup {
  const setup = new FrontendSetup();
  setup.negotiate(EVERYTHING, [0x10000], DEVICE_FEATURES);
  return setup;
}
