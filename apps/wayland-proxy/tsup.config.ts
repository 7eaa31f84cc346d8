import { defineConfig } from 'tsup';

/** One file for the guest, with all of ours in it; koffi stays outside, since its native part must lie beside it. */
export default defineConfig({
  entry: { main: 'src/main.ts' },
  format: ['esm'],
  target: 'node22',
  platform: 'node',
  sourcemap: true,
  clean: true,
  dts: false,
  splitting: false,
  noExternal: [/^@oriel\//],
  external: ['koffi'],
  esbuildOptions(options) {
    options.conditions = ['@oriel/source'];
  },
});
