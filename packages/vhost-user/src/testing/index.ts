/**
 * Helpers for tests of back-ends.
 * @packageDocumentation
 */
export { MockFrontend, type MockFrontendOptions, type MockRing, type MockRingOptions } from './mock-frontend.ts';
