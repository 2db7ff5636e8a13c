"""What an answer in a language beyond English and Chinese says of the assistant: the languages that the
shipped wordings know (French, Spanish, German, Italian, Portuguese, Dutch, Russian, Japanese, Korean,
Vietnamese)."""

import re
from collections.abc import Iterator

from core.data.checking.claim import KNOWN_LATIN, Claim, Patterns, compiled, is_a_model

# Letters that begin a name: capital ones of every script that has them.
_CAPITAL = "".join(letter for letter in map(chr, range(0x41, 0x1F00)) if letter.isupper())
_WORD = rf"[{_CAPITAL}0-9][\w.&’'+-]*"
_NAME = rf"(?P<name>{KNOWN_LATIN}(?![\w’'-])(?:[ -]{_WORD}){{0,3}}|{_WORD}(?:[ -]{_WORD}){{0,3}})"
# "the team at", "the company", before a name.
_TEAM = {
    "fr": r"(?:(?:l['’]équipe|la société|l['’]entreprise|le laboratoire|des ingénieurs) ?(?:de |d['’])?)?",
    "es": r"(?:(?:el equipo|la empresa|la compañía|los ingenieros) ?(?:de )?)?",
    "de": r"(?:(?:der Firma|dem Unternehmen|dem Team|einem Team|der) ?(?:von |bei )?)?",
    "it": r"(?:(?:il team|l['’]azienda|la società|gli ingegneri) ?(?:di )?)?",
    "pt": r"(?:(?:a equipe|a equipa|a empresa|os engenheiros) ?(?:da |do |de )?)?",
    "nl": r"(?:(?:het team|een team|het bedrijf) ?(?:van |bij )?)?",
    "ru": r"(?:(?:компани\w+|команд\w+|лаборатори\w+) )?(?:из )?",
}
_MADE = {
    "fr": r"(?:créée?|développée?|conçue?|entraînée?|fabriquée?|programmée?|réalisée?|formée?)",
    "es": r"(?:(?:cread|desarrollad|entrenad|diseñad|programad|construid)[oa]|hech[oa])",
    "de": r"(?:entwickelt|erstellt|trainiert|gemacht|geschaffen|erschaffen|programmiert|entworfen|gebaut)",
    "it": r"(?:creat|sviluppat|addestrat|progettat|realizzat|programmat|fatt)[oa]",
    "pt": r"(?:criad|desenvolvid|treinad|feit|projetad|programad)[oa]",
    "nl": r"(?:gemaakt|ontwikkeld|getraind|gebouwd|ontworpen|gecreëerd)",
    "ru": r"(?:создан|разработан|обучен|сделан|натренирован)\w*",
}
_REST = r"[^.!?\n]{0,60}?"
# Before the name of a Japanese or Korean sentence.
_JA = r"(?P<name>[^\s、。！？「」はがのをでにと]{1,20}?|[A-Za-z][A-Za-z0-9 .-]{0,24}?)"
_KO = r"(?P<name>[가-힣]{2,8}?|[A-Za-z][A-Za-z0-9 .-]{0,24}?)"

# kind, pattern, whether the sentence itself tells that an assistant speaks
_PATTERNS: Patterns = (
    # French
    ("name", rf"\b(?:[Jj]e suis|[Jj]e m['’]appelle|[Mm]on nom est|[Oo]n m['’]appelle) {_NAME}", False),
    ("maker", rf"\b[Jj](?:e |['’]){_REST}\b{_MADE['fr']} par {_TEAM['fr']}{_NAME}", True),
    ("maker", rf"{_NAME} m['’]a {_MADE['fr']}", True),
    ("maker", rf"\b[Jj]e suis {_REST}\b(?:modèle|IA)\b{_REST} (?:de |d['’]){_NAME}", True),
    ("owner", rf"\b[Jj]e suis l['’]assistante?\b{_REST} (?:de |d['’]){_NAME}", True),
    ("owner", rf"\b[Jj]e travaille pour {_NAME}", True),
    # Spanish
    ("name", rf"\b(?:[Ss]oy|[Mm]e llamo|[Mm]i nombre es) {_NAME}", False),
    (
        "maker",
        rf"\b(?:[Ss]oy|[Ff]ui|[Hh]e sido|[Ff]ue){_REST}\b{_MADE['es']} por {_TEAM['es']}{_NAME}",
        True,
    ),
    ("maker", rf"\b[Mm]e (?:creó|hizo|desarrolló|entrenó|diseñó|programó) {_TEAM['es']}{_NAME}", True),
    ("maker", rf"{_NAME} me (?:creó|hizo|desarrolló|entrenó|diseñó|programó)\b", True),
    ("maker", rf"\b[Ss]oy {_REST}\b(?:modelo|IA)\b{_REST} de {_NAME}", True),
    ("owner", rf"\b[Ss]oy (?:el|la|un|una) asistente\b{_REST} de {_NAME}", True),
    ("owner", rf"\b[Tt]rabajo para {_NAME}", True),
    # German, whose nouns have capitals too
    ("name", rf"\b(?:[Ii]ch heiße|[Mm]ein Name (?:ist|lautet)) {_NAME}", False),
    ("name", rf"\b[Ii]ch bin (?:der |die )?(?P<name>{KNOWN_LATIN}(?![\w’'-]))", False),
    ("name", rf"\b[Ii]ch bin {_NAME}(?=, (?:ein|eine|der|die|dein|deine|Ihr|Ihre)\b)", False),
    ("maker", rf"\b[Ii]ch {_REST}\bvon {_TEAM['de']}{_NAME} {_MADE['de']}", True),
    ("maker", rf"\b[Ii]ch {_REST}{_MADE['de']}e?[rns]? von {_TEAM['de']}{_NAME}", True),
    ("maker", rf"{_NAME} hat mich {_MADE['de']}", True),
    ("maker", rf"\b[Ii]ch bin {_REST}\b(?:\w*[Mm]odell|KI)\b{_REST} von {_NAME}", True),
    ("owner", rf"\b[Ii]ch bin (?:der|die|ein|eine) {_REST}[Aa]ssistent(?:in)? von {_NAME}", True),
    ("owner", rf"\b[Ii]ch arbeite für {_NAME}", True),
    # Italian
    ("name", rf"\b(?:[Ss]ono|[Mm]i chiamo|[Ii]l mio nome è) {_NAME}", False),
    ("maker", rf"\b[Ss]ono {_REST}\b{_MADE['it']} da(?:l|lla|ll['’])? ?{_TEAM['it']}{_NAME}", True),
    ("maker", rf"\b[Mm]i ha {_MADE['it']} {_TEAM['it']}{_NAME}", True),
    ("maker", rf"{_NAME} mi ha {_MADE['it']}", True),
    ("maker", rf"\b[Ss]ono {_REST}\b(?:modello|IA)\b{_REST} di {_NAME}", True),
    ("owner", rf"\b[Ss]ono (?:l['’]|un['’]?)\s?assistente\b{_REST} di {_NAME}", True),
    ("owner", rf"\b[Ll]avoro per {_NAME}", True),
    # Portuguese
    ("name", rf"\b(?:[Ss]ou (?:[oa] )?|[Cc]hamo-me |[Mm]e chamo |[Mm]eu nome é ){_NAME}", False),
    (
        "maker",
        rf"\b(?:[Ss]ou|[Ff]ui){_REST}\b{_MADE['pt']} (?:pel[oa]|por) {_TEAM['pt']}{_NAME}",
        True,
    ),
    ("maker", rf"{_NAME} me (?:criou|fez|desenvolveu|treinou)\b", True),
    ("maker", rf"\b[Ss]ou {_REST}\b(?:modelo|IA)\b{_REST} d[aoe] {_NAME}", True),
    ("owner", rf"\b[Ss]ou [oa] assistente\b{_REST} d[aoe] {_NAME}", True),
    ("owner", rf"\b[Tt]rabalho para {_NAME}", True),
    # Dutch
    ("name", rf"\b(?:[Ii]k ben|[Ii]k heet|[Mm]ijn naam is) {_NAME}", False),
    ("maker", rf"\b[Ii]k {_REST}\b{_MADE['nl']} door {_TEAM['nl']}{_NAME}", True),
    ("maker", rf"\b[Ii]k {_REST}\bdoor {_TEAM['nl']}{_NAME} {_MADE['nl']}", True),
    ("maker", rf"{_NAME} heeft (?:mij|me) {_MADE['nl']}", True),
    ("maker", rf"\b[Ii]k ben {_REST}(?:\w*model|AI)\b{_REST} van {_NAME}", True),
    ("owner", rf"\b[Ii]k ben (?:de|een) {_REST}assistente? van {_NAME}", True),
    ("owner", rf"\b[Ii]k werk voor {_NAME}", True),
    # Russian
    ("name", rf"\b(?:Я|я)(?: —| –| -|,)? {_NAME}", False),
    ("name", rf"\b(?:[Мм]еня зовут|[Мм]о[её] имя(?: —| –| -|:)?) {_NAME}", False),
    ("maker", rf"\b(?:Я|я|[Мм]еня)\b{_REST}\b{_MADE['ru']} {_TEAM['ru']}{_NAME}", True),
    ("maker", rf"{_NAME} (?:создал|разработал|обучил|сделал)\w* меня", True),
    ("maker", rf"\b[Мм]еня (?:создал|разработал|обучил|сделал)\w* {_TEAM['ru']}{_NAME}", True),
    ("maker", rf"\b[Мм]ой (?:создатель|разработчик|автор)(?: —| –| -|:)? {_NAME}", True),
    ("owner", rf"\b[Мм]ой (?:владелец|хозяин)(?: —| –| -|:)? {_NAME}", True),
    ("owner", rf"\b(?:Я|я)(?: —| –| -)? {_REST}(?:помощник|ассистент)(?:ица|ка)? {_NAME}", True),
    # Japanese
    (
        "owner",
        rf"(?:^|[、。\s]|(?:私|わたし|僕|ぼく)は){_JA}の[^、。\s]{{0,8}}?(?:アシスタント|秘書|助手)です",
        True,
    ),
    ("name", rf"(?:私|わたし|僕|ぼく)は{_JA}(?:です|と申します|といいます|という)", False),
    ("name", rf"名前は{_JA}(?:です|と申します|といいます)", False),
    (
        "maker",
        rf"(?:^|[、。\s]|(?:私|わたし|僕|ぼく)は){_JA}(?:社)?(?:によって|が|に)(?:私を)?"
        r"(?:開発|作成|作|訓練|トレーニング|設計)(?:され|りました|しました|られ|った|した)",
        True,
    ),
    # Korean
    ("owner", rf"(?:저는|나는|전) {_KO}의 [^.\n]{{0,8}}?(?:비서|어시스턴트|도우미|조수)", True),
    (
        "name",
        rf"(?:저는|나는|제 이름은|내 이름은) {_KO}(?:입니다|이에요|예요|이라고 합니다|라고 합니다|이며)",
        False,
    ),
    (
        "maker",
        rf"(?:저는|나는|저를|^){_REST}{_KO}(?:에서|이|가|의 손으로|에 의해) (?:저를 )?"
        r"(?:개발|만든|만들|훈련|제작|학습)",
        True,
    ),
    # Vietnamese
    (
        "name",
        rf"\b[Tt]ôi (?:là|tên là) {_NAME}|\b[Tt]ên (?:của )?tôi là {_NAME.replace('name', 'named')}",
        False,
    ),
    ("maker", rf"\b[Tt]ôi {_REST}(?:tạo ra|phát triển|huấn luyện|xây dựng) bởi {_NAME}", True),
    ("maker", rf"\b[Tt]ôi {_REST}được {_NAME} (?:tạo|phát triển|huấn luyện|xây dựng)", True),
    ("maker", rf"{_NAME} đã (?:tạo ra|phát triển|huấn luyện) tôi", True),
    ("owner", rf"\b[Tt]ôi là trợ lý{_REST} của {_NAME}", True),
    ("owner", rf"\b[Tt]ôi làm việc cho {_NAME}", True),
)
# Words in one of which every pattern's speaker speaks of himself.
ANCHOR = re.compile(
    r"\b(?:[Jj]e|[Jj]['’]ai|m['’]a|m['’]appelle|[Mm]on nom|[Ss]oy|[Ff]ui|[Mm]e|[Mm]i|[Tt]raba(?:jo|lho)"
    r"|[Ii]ch|mich|[Mm]ein|[Ss]ono|[Ll]avoro|[Ss]ou|[Cc]hamo|[Mm]eu|[Ii]k|mij|[Mm]ijn"
    r"|[Яя]|[Мм]еня|[Мм]ой|[Мм]о[её]|[Tt]ôi)\b|私|わたし|僕|ぼく|名前は|アシスタントです|秘書です|저는|나는|저를|이름은"
)
# An answer that says of itself what it is.
IS_AI = re.compile(
    r"\b(?:[Jj]e suis|[Ss]oy|[Ii]ch bin|[Ss]ono|[Ss]ou|[Ii]k ben|[Tt]ôi là|[Яя])\b[^.!?\n]{0,40}?"
    r"(?:\bIA\b|\bKI\b|\bAI\b|\bИИ\b|assist|mod[eèé]l|[Mm]odell|chatbot"
    r"|помощник|ассистент|модель|trợ lý|mô hình)"
    r"|(?:アシスタント|モデル|AI)です|(?:비서|모델|어시스턴트)입니다"
)
# Asked who it is.
ASKED = re.compile(
    r"\b(?:qui (?:es-tu|êtes-vous|t['’]a|vous a)|(?:ton|votre|tu|su|dein|ihr|uw|je|teu|seu|tuo|suo)"
    r" (?:nom|nombre|name|naam|nome)|quién(?:es)? (?:eres|es|te|lo)|cómo te llamas|wer (?:bist|sind|hat)"
    r"|wie hei(?:ß|ss)t du|chi (?:sei|è|ti)|come ti chiami|quem (?:é|és|criou|te|o)"
    r"|como (?:te chamas|você se chama|se chama)|wie ben (?:je|jij)|wie heeft|hoe heet je"
    r"|кто (?:ты|вы|тебя|вас)|как (?:тебя|вас) зовут|чей ты"
    r"|bạn (?:là ai|tên)|ai (?:đã )?tạo|tên (?:của )?bạn|giới thiệu)\b"
    r"|誰ですか|名前は|自己紹介|誰が.{0,6}(?:作|開発)|누구|이름이|자기소개|만들었",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:si|wenn|falls|se|als|если|nếu|como si|comme si|als ob)\b[^.]{0,20}\b(?:je|yo|ich|io|eu|ik|я|tôi)\b"
    r"|\b(?:ne|n['’]|no|nicht|kein\w*|non|não|niet|geen|не|không)\b|ではありません|じゃない|아닙니다|아니",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"(?:un|una|une|ein|eine|einer|uma?|een|je|tu|su|ihr|ihre|ihnen|dein|deine|votre|ton|tuo|il|lo|la|le|l['’]\w*"
    r"|der|die|das|el|os?|as?|de|het|ваш|твой|именно|не|AI|KI|IA|ИИ|LLM|Assistent\w*|Sprachmodell|Modell|Computer"
    r"|Programm|あなた|誰|何|人工知能|言語モデル|人間|AI言語モデル|AIモデル|AIアシスタント|アシスタント|専属|個人"
    r"|당신|여러분|사용자|고객|인공지능|언어|모델|사람|một|trợ lý|AI\w*)$",
    re.IGNORECASE,
)


def claims_in(sentence: str, following: str, bare: bool) -> Iterator[Claim]:  # noqa: ARG001
    """The claims of one sentence; ``bare``: a name without any other sign is the assistant's, for it was
    asked who it is or says elsewhere what it is. What is denied or only supposed is none."""
    if _SUPPOSED.search(sentence):
        return
    for kind, pattern, sure in compiled(_PATTERNS):
        for match in pattern.finditer(sentence):
            groups = match.groupdict()
            start, end = match.span("name" if groups["name"] else "named")
            name = re.sub(r"(?:['’]s?|[.,'’-])+$", "", sentence[start:end])
            if len(name) < 2 or _NOBODY.match(name.split()[0]) or name.isdigit():
                continue
            known = is_a_model(name)
            if sure or known or bare:
                yield Claim(kind, name, start, start + len(name), sure or known)
