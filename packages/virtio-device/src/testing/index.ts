/**
 * For device authors: a machine without a VM or a socket, the driver's end of a queue, and the checks that every device
 * must pass.
 * @packageDocumentation
 */
export type { ConformanceOptions, HeldRequest, SampleRequest } from './bench.ts';
export { type ConformanceCheck, deviceConformance } from './conformance.ts';
export { ConnectedMachine, type ConnectedMachineOptions, type WindowPiece } from './connected-machine.ts';
export { type DriverMemory, type DriverPlace, type DriverReply, MockDriver } from './mock-driver.ts';
export { MockHost, type MockHostOptions } from './mock-host.ts';
export { ReconnectingMachine, type ReconnectingMachineOptions } from './reconnecting-machine.ts';
export { ServedProgram } from './served-program.ts';
export { TimedTransport, type TransportBehaviour } from './timed-transport.ts';
