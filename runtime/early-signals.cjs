// Preloaded in the image: a signal that comes while the modules are loaded would be lost, because the kernel keeps from
// process 1 what it has no handler for (pid_namespaces(7)), and the container would be killed after its grace period.
// No TypeScript, so that nothing has to be loaded for it.
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))
