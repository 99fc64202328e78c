"""What is refused before anything expensive, and the order of all checks of a run's options.

The first that fails ends the run, in one line; each kind of check is at one place. Ranges of a
component's own options are checked by its class when it is built, with `nn.checks`.

    config.compose.preflight                    groups, options and keys exist
    config.validate.check                       types, missing values, groups that nothing uses
    config.compose.check_match                  match= outside of a comparison
    runs.naming.check_place                     the run's folder can be made
    training.resume.check_same                  what may differ in a run that is resumed
    training.preflight.build.check_build        all components, built without memory for weights:
        training.preflight.build.check_pairing      model, task, data, length of learned positions
        training.preflight.adapter.check_adapter    what an adapter needs
        training.preflight.reward.check_reward      the run that judges answers
        training.preflight.build.check_packing      what packed documents need of the model
        training.preflight.machine.check_machine    workers and kernels of this machine
        training.preflight.memory.check_memory      weights, gradients and optimizer fit
        training.preflight.precision.check_precision    the device has it
        training.preflight.precision.check_gather       gathering in bfloat16 is of bf16-mixed
        training.preflight.memory.check_activations     what the backward pass needs fits
        distributed.parallelize.check_parallel      tensor parallelism can cut the model
        training.preflight.build.check_monitored    validation gives what is asked to choose by
        optim.schedule.apply.check_pair             optimizer and schedule
    training.trainer.TrainerOptions             the trainer's options; its devices exist
    training.preflight.data.check_labels        two classes or tags at least
    data.loading.train_loader.check_batch_size  enough data for a batch
    training.resume.check_same_data             the data of a run that is resumed
    training.resume.check_same_precision        what precision=auto stood for
    training.preflight.memory.check_activations    again, with the vocabulary that is known now
    training.preflight.compiling.settle_compile    what trainer.compile=auto stands for
    checkpoint.disk_space.check_space           the disk has room for two checkpoints
    training.preflight.data.check_targets       the task finds a target in each split

The first five need no torch. The others are called by `training.session.prepare`.
"""
