#!/usr/bin/env node
/** `npm create oriel NAME`: makes a device project in a new folder. */
import { relative } from 'node:path';
import { CreateError } from './errors.ts';
import { createProject } from './project.ts';

const USAGE = 'npm create oriel NAME   makes a virtio device project in the new folder NAME';

try {
  const [target, ...rest] = process.argv.slice(2);
  if (target === '--help') {
    console.log(USAGE);
  } else {
    if (target === undefined || target.startsWith('-') || rest.length > 0) {
      throw new CreateError('ERR_CREATE_USAGE', USAGE);
    }
    const { folder, files } = createProject(target);
    console.log(`${folder}: ${files.join(', ')}\n`);
    console.log(`    cd ${relative('.', folder) || '.'}\n    npm install\n    npm test`);
  }
} catch (error) {
  if (!(error instanceof CreateError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
