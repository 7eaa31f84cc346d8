import { defineConfig, type Options } from 'tsup';

/** The one build of every published package: ES modules, one file an entry, dependencies left outside. */
export function packageBuild(entry: Record<string, string>): ReturnType<typeof defineConfig> {
  const options: Options = {
    entry,
    format: ['esm'],
    target: 'node22',
    platform: 'node',
    sourcemap: true,
    clean: true,
    dts: false,
    splitting: true,
  };
  return defineConfig(options);
}
