/**
 * For tests and trials of devices: transports whose answers come when the test says so.
 * @packageDocumentation
 */
export { testLimits } from './limits.ts';
export type { SentRequest } from './mock-transport.ts';
export { MockTransport } from './mock-transport.ts';
export { WindowTransport } from './window-transport.ts';
