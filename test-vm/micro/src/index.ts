/**
 * What the front-end's window does at its edges, observed: children, a micro VM, a model.
 * @packageDocumentation
 */
export type { Count } from './model/commands.ts';
export { MODEL_SETTINGS, type ModelRun, type ModelSetting, runAnyModel, runModel } from './model/run-model.ts';
export { RANGE_KINDS, type RangeKind, Scene, type SceneOptions } from './scene.ts';
export { type Observation, observe } from './table/observe.ts';
export { policyTable } from './table/policy-table.ts';
export { type Touch, type TouchOrder, type TouchOutcome, type TouchResult, touch } from './touch/touch.ts';
export { efaultSys } from './vm/efault-sys.ts';
export { type GuestExit, type GuestReport, kvmMissing, MicroVm, type MicroVmOptions } from './vm/micro-vm.ts';
