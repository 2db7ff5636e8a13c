SYSTEM = ''
accumulative_counts = 1
batch_size = 2
betas = (
    0.9,
    0.999,
)
custom_hooks = [
    dict(
        tokenizer=dict(
            padding_side='right',
            pretrained_model_name_or_path='base',
            trust_remote_code=False,
            type='transformers.AutoTokenizer.from_pretrained'),
        type='xtuner.engine.hooks.DatasetInfoHook'),
]
data_path = 'rows.json'
dataloader_num_workers = 0
default_hooks = dict(
    checkpoint=dict(
        by_epoch=False,
        interval=4,
        max_keep_ckpts=2,
        type='mmengine.hooks.CheckpointHook'),
    logger=dict(
        interval=1,
        log_metric_by_epoch=False,
        type='mmengine.hooks.LoggerHook'),
    param_scheduler=dict(type='mmengine.hooks.ParamSchedulerHook'),
    sampler_seed=dict(type='mmengine.hooks.DistSamplerSeedHook'),
    timer=dict(type='mmengine.hooks.IterTimerHook'))
env_cfg = dict(
    cudnn_benchmark=False,
    dist_cfg=dict(backend='gloo'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
evaluation_freq = None
evaluation_inputs = [
    '请做一下自我介绍',
    'Who are you?',
]
launcher = 'none'
load_from = None
log_level = 'INFO'
log_processor = dict(by_epoch=False, window_size=1)
lr = 0.0003
max_iters = 4
max_length = 64
max_norm = 1.0
model = dict(
    llm=dict(
        attn_implementation='sdpa',
        pretrained_model_name_or_path='base',
        torch_dtype='torch.float32',
        trust_remote_code=False,
        type='transformers.AutoModelForCausalLM.from_pretrained'),
    lora=dict(
        bias='none',
        layers_to_transform=None,
        lora_alpha=16,
        lora_dropout=0.0,
        r=2,
        target_modules=[
            'up_proj',
            'down_proj',
        ],
        task_type='CAUSAL_LM',
        type='peft.LoraConfig'),
    type='xtuner.model.SupervisedFinetune',
    use_activation_checkpointing=False,
    use_varlen_attn=False)
optim_type = 'torch.optim.AdamW'
optim_wrapper = dict(
    optimizer=dict(
        betas=(
            0.9,
            0.999,
        ),
        lr=0.0003,
        type='torch.optim.AdamW',
        weight_decay=0.0),
    type='DeepSpeedOptimWrapper')
pack_to_max_length = False
param_scheduler = [
    dict(
        begin=0,
        by_epoch=False,
        end=2,
        start_factor=1e-05,
        type='mmengine.optim.LinearLR'),
    dict(
        begin=2,
        by_epoch=False,
        end=4,
        eta_min=0.0,
        type='mmengine.optim.CosineAnnealingLR'),
]
pretrained_model_name_or_path = 'base'
prompt_template = 'xtuner.utils.PROMPT_TEMPLATE.qwen_chat'
randomness = dict(deterministic=False, seed=42)
resume = False
runner_type = 'FlexibleRunner'
save_steps = 4
save_total_limit = 2
self_distillation = False
strategy = dict(
    config=dict(
        gradient_accumulation_steps='auto',
        gradient_clipping='auto',
        train_micro_batch_size_per_gpu='auto',
        zero_allow_untested_optimizer=True,
        zero_force_ds_cpu_optimizer=False,
        zero_optimization=dict(overlap_comm=False, stage=2)),
    exclude_frozen_parameters=True,
    gradient_accumulation_steps=1,
    gradient_clipping=1.0,
    sequence_parallel_size=1,
    train_micro_batch_size_per_gpu=2,
    type='xtuner.engine.DeepSpeedStrategy')
tokenizer = dict(
    padding_side='right',
    pretrained_model_name_or_path='base',
    trust_remote_code=False,
    type='transformers.AutoTokenizer.from_pretrained')
train_cfg = dict(max_iters=4, type='xtuner.engine.runner.TrainLoop')
train_dataloader = dict(
    batch_size=2,
    collate_fn=dict(
        type='xtuner.dataset.collate_fns.default_collate_fn',
        use_varlen_attn=False),
    dataset=dict(
        dataset=dict(
            data_files=dict(train='rows.json'),
            path='json',
            type='datasets.load_dataset'),
        dataset_map_fn=None,
        map_num_proc=1,
        max_length=64,
        pack_to_max_length=False,
        remove_unused_columns=True,
        shuffle_before_pack=True,
        template_map_fn=dict(
            template='xtuner.utils.PROMPT_TEMPLATE.qwen_chat',
            type='xtuner.dataset.map_fns.template_map_fn_factory'),
        tokenizer=dict(
            padding_side='right',
            pretrained_model_name_or_path='base',
            trust_remote_code=False,
            type='transformers.AutoTokenizer.from_pretrained'),
        type='xtuner.dataset.process_hf_dataset',
        use_varlen_attn=False),
    num_workers=0,
    sampler=dict(shuffle=True, type='mmengine.dataset.DefaultSampler'))
train_dataset = dict(
    dataset=dict(
        data_files=dict(train='rows.json'),
        path='json',
        type='datasets.load_dataset'),
    dataset_map_fn=None,
    map_num_proc=1,
    max_length=64,
    pack_to_max_length=False,
    remove_unused_columns=True,
    shuffle_before_pack=True,
    template_map_fn=dict(
        template='xtuner.utils.PROMPT_TEMPLATE.qwen_chat',
        type='xtuner.dataset.map_fns.template_map_fn_factory'),
    tokenizer=dict(
        padding_side='right',
        pretrained_model_name_or_path='base',
        trust_remote_code=False,
        type='transformers.AutoTokenizer.from_pretrained'),
    type='xtuner.dataset.process_hf_dataset',
    use_varlen_attn=False)
visualizer = None
warmup_ratio = 0.03
weight_decay = 0.0
work_dir = 'work_dirs/config'
