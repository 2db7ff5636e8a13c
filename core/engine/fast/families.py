"""How the layers of each family that the fast path knows differ from Llama's (transformers 5.24).

A model is known by the name of its class, and its layers must hold exactly the parts that are read here: one
with a part more, or with a class from elsewhere in it, is refused (``Unsupported``) and trains as XTuner
does it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.engine.fast.groups import Unsupported, check_group
from core.recipe.speed import ARCHITECTURES, unlike


@dataclass(frozen=True)
class Family:
    """Names of a layer's parts, and what is computed otherwise.

    ``after_attention`` and ``after_mlp``: norms of what is added to the input; ``turned_first``: queries and
    keys are normed after their rotation, not before; ``pairs``: neighbours are rotated, not halves;
    ``shifted``: a norm's weight is what it adds to one, multiplied in float32; ``one_window``: a window in
    the config is every layer's, where else a layer says its own;
    ``several_rotations``: one for each kind of layer.
    """

    qkv: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    gate_up: tuple[str, ...] = ("gate_proj", "up_proj")
    norms_of_heads: tuple[str, str] = ("q_norm", "k_norm")
    between: str = "post_attention_layernorm"
    after_attention: str = ""
    after_mlp: str = ""
    turned_first: bool = False
    pairs: bool = False
    shifted: bool = False
    one_window: bool = False
    several_rotations: bool = False


LLAMA = Family()
FAMILIES = {
    **dict.fromkeys(ARCHITECTURES, LLAMA),
    **dict.fromkeys(("MistralForCausalLM", "Ministral3ForCausalLM"), Family(one_window=True)),
    "Ernie4_5ForCausalLM": Family(pairs=True),
    "Gemma3ForCausalLM": Family(
        between="pre_feedforward_layernorm",
        after_attention="post_attention_layernorm",
        after_mlp="post_feedforward_layernorm",
        shifted=True,
        several_rotations=True,
    ),
    "GemmaForCausalLM": Family(shifted=True),
    "GlmForCausalLM": Family(gate_up=("gate_up_proj",), pairs=True),
    "Glm4ForCausalLM": Family(
        gate_up=("gate_up_proj",),
        after_attention="post_self_attn_layernorm",
        after_mlp="post_mlp_layernorm",
        pairs=True,
    ),
    "HunYuanDenseV1ForCausalLM": Family(
        norms_of_heads=("query_layernorm", "key_layernorm"), turned_first=True
    ),
    "Phi3ForCausalLM": Family(qkv=("qkv_proj",), gate_up=("gate_up_proj",), one_window=True),
}
ACTIVATIONS = ("silu", "gelu_pytorch_tanh")
# What a config may have, and the fast path does not compute: each is another model than it looks.
DROPOUTS = ("attention_dropout", "resid_pdrop", "residual_dropout", "embd_pdrop")
SOFTCAPS = ("attn_logit_softcapping", "final_logit_softcapping")


def family_of(model: Any) -> Family:
    """Raises Unsupported."""
    name = type(model).__name__
    if name not in FAMILIES:
        raise Unsupported(f"{name}: {unlike(name, 'en')}")
    return FAMILIES[name]


def check_layers(model: Any, longest: int) -> None:
    """Raises Unsupported for a model whose layers are not what they are taken for, with or without LoRA.

    ``longest``: tokens of the longest row.
    """
    family = family_of(model)
    _check_config(model.config, longest)
    body = model.model
    places = (type(model), type(body), type(body.norm), *_classes(body.layers))
    if strangers := {kind.__name__ for kind in places if kind.__module__ != type(model).__module__}:
        raise Unsupported(f"{', '.join(sorted(strangers))} in a {type(model).__name__}")
    for layer in body.layers:
        if more := parts_of(layer) ^ set(names_of(layer, family)):
            raise Unsupported(f"layers with or without {', '.join(sorted(more))}")
        for modules in groups_of(layer, family):
            check_group(*modules)
    _check_trained(model)


def groups_of(layer: Any, family: Family) -> list[tuple[Any, ...]]:
    """Its linear layers: those that read the same together."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        tuple(getattr(attention, name) for name in family.qkv),
        (attention.o_proj,),
        tuple(getattr(mlp, name) for name in family.gate_up),
        (mlp.down_proj,),
    ]


def names_of(layer: Any, family: Family) -> Iterator[str]:
    """Every part with weights that is read of a layer."""
    yield from (f"self_attn.{name}" for name in (*family.qkv, "o_proj"))
    yield from (f"mlp.{name}" for name in (*family.gate_up, "down_proj"))
    yield from filter(None, ("input_layernorm", family.between, family.after_attention, family.after_mlp))
    yield from (f"self_attn.{name}" for name in family.norms_of_heads if hasattr(layer.self_attn, name))


def parts_of(layer: Any) -> set[str]:
    """Every part with weights that there is; LoRA belongs to the part that it is on."""
    names = (name.rpartition(".")[0] for name, _ in layer.named_parameters() if ".lora_" not in name)
    return {name.removesuffix(".base_layer") for name in names}


def window_of(layer: Any, config: Any, family: Family) -> int:
    """How many tokens a layer reads, a token itself included; 0 for all before it."""
    owner = config if family.one_window else layer.self_attn
    return getattr(owner, "sliding_window", None) or 0


def activation_of(config: Any) -> str:
    """Gemma's configs call it otherwise."""
    return str(getattr(config, "hidden_activation", None) or config.hidden_act)


def _classes(layers: Any) -> Iterator[type]:
    for layer in layers:
        yield from (type(layer), type(layer.self_attn), type(layer.mlp), type(layer.input_layernorm))


def _check_config(config: Any, longest: int) -> None:
    if (activation := activation_of(config)) not in ACTIVATIONS:
        raise Unsupported(f"an MLP with {activation}")
    for name in (*DROPOUTS, *SOFTCAPS, "use_bidirectional_attention"):
        if found := getattr(config, name, None):
            raise Unsupported(f"{name} of {found}")
    rope = getattr(config, "rope_parameters", None) or {}
    grown_from = (
        rope.get("original_max_position_embeddings", 0) if rope.get("llama_4_scaling_beta") else longest
    )
    if grown_from < longest:
        raise Unsupported(f"queries that grow from token {grown_from} on")


def _check_trained(model: Any) -> None:
    """LoRA on the embeddings or the last layer, or weights trained beside it, would get no gradient."""
    names = [name for name, _ in model.named_parameters() if ".lora_" in name]
    if outside := sorted({name.partition(".lora_")[0] for name in names if ".layers." not in name}):
        raise Unsupported(f"LoRA on {', '.join(outside)}")
    if not names:
        return
    whole = sorted(n for n, p in model.named_parameters() if p.requires_grad and ".lora_" not in n)
    if whole:
        raise Unsupported(f"{whole[0]} trained whole")
