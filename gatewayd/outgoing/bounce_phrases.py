"""List the phrases of mail systems in letters and subjects: for mail that was given up, and for mail that is still tried.

They are those of the servers that are in use, in the languages that they write. They are compared without case and accents.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["CODE", "delays", "fails", "is_about_delay", "is_about_failure", "is_answer", "is_permanent"]


def _folded(text: str) -> str:
    """Return a text in lower case, without accents, and with single spaces: servers write words with accents and without."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in plain if not unicodedata.combining(one)).split())


def _listed(text: str) -> tuple[str, ...]:
    return tuple({_folded(one) for one in text.replace("\n", "|").split("|") if one.strip()})


#: A reply code or a status of class 5 (RFC 5321 section 4.2.1, RFC 3463).
CODE = re.compile(r"(?<![\w.:/-])(?:55[0-9](?:[ :#]|-(?:[^0-9]|5\.))|#?5\.[0-7]\.[0-9]{1,3}\b)", re.ASCII)
#: Words for failures.
_FAILED = _listed("""
    undeliver|been undeliver|non-deliver|nondeliver|not be delivered|not been delivered|not delivered|wasn't delivered
    couldn't be delivered|can't be delivered|not deliver|couldn't deliver|unable to deliver|able to deliver|cannot be delivered
    delivery fail|delivery has failed|delivery error|delivery to the following|delivery impossible|delivery was not possible
    failed delivery|failure delivery|failed to deliver|failure notice|failure of delivery|failed mail|failed recipient
    fatal error|permanent error|permanent failure|failed permanently|was aborted|delivery aborted|delivery expired
    message expired|returned mail|returned to sender|return to sender|returning message to sender|returned message
    mail system error|mail failure|error mail|trying to deliver|delivery status notification (failure)|[bounce]|bounced
    did not reach|could not be sent|couldn't be sent|not be sent|could not send|could not be reached|not be completed
    message rejected|was rejected|been rejected|were rejected|rejected by|is rejected|was refused|been refused
    been blocked|was blocked|user unknown|unknown user|unknown recipient|unknown address|no such user|no such recipient
    no such mailbox|no mailbox here|no such address|mailbox unavailable|mailbox not found|mailbox is full|mailbox full
    mailbox is disabled|over quota|quota exceeded|exceeded storage|does not exist|doesn't exist|not exist|not listed in
    invalid recipient|invalid address|invalid mailbox|bad address|bad recipient|address not found|address rejected
    recipient rejected|relaying denied|relay access denied|relay denied|host unknown|unknown host|host not found
    domain not found|unrouteable address|unroutable address|retry timeout exceeded|retry time not reached|too many hops
    transaction failed|not a valid user|not a valid address|not a valid recipient|not a valid mailbox|message was not
    account is disabled|account has been disabled|account not found|no longer valid|no longer accepts|in the queue too long
    unzustellbar|nicht zugestellt|nicht zustellbar|nicht zustellen|zustellung fehlgeschlagen|fehler bei der zustellung
    non remis|pas pu être remis|pas pu être livré|pas pu être délivré|pas pu être distribué|non distribu|échec de la remise
    échec de remise|no se pudo entregar|no se ha podido entregar|no entregado|no se puede entregar|error de entrega
    fallo en la entrega|non recapitabile|impossibile recapitare|mancato recapito|mancata consegna|possibile recapitare
    errore di consegna|não entregue|não pôde ser entregue|falha na entrega|possível entregar|não foi entregue
    onbestelbaar|niet worden bezorgd|niet worden afgeleverd|niet bezorgd|niedostarcz|nie dostarczono
    nie została dostarczona|nie mogła zostać dostarczona|nedoručiteln|možné doručit|kézbesíthetetlen|nem kézbesíthető
    inte levereras|oleverba|ikke leveres|ikke levert|ei voitu toimittaa|teslim edilemedi
    недоставлен|не доставлено|не было доставлено|не может быть доставлено|невозможно доставить|ошибка доставки
    не удалось доставить|配信不能|宛先不明|エラーメール|配信できま|配達できま|配信できなか|送信できま|届けできま
    届けることができ|届きません|送信エラー|配信エラー|退信|投递失败|傳遞失敗|無法傳遞|无法投递|无法发送|无法送达
    반송|전달되지|전달할 수|전송하지 못|전송되지|보내지 못
    had delivery errors|had permanent|wasn't able to deliver|not have been delivered|no se ha entregado|no he podido entregar
    no pudo ser entregado|non è stato consegnato|non consegnato|non è stato recapitato|n'a pu être|pas été remis|pas été délivré
    pas été distribué|nao foi possível|não pode ser enviada|zustellungsfehler|zustellfehler|nicht übermittelt|nicht ausgeliefert
    konnte nicht gesendet|niet bezorgen|niet afleveren|kon niet worden verzonden|nie mogła zostać doręczona|nie można dostarczyć
    nie można doręczyć|nie udało się dostarczyć|niedoręcz|zwrot poczty|nelze doručit|nepodařilo doručit|nebylo doručeno
    nedoručen|nie je možné doručiť|nepodarilo doručiť|nem sikerült kézbesíteni|kézbesítési hiba|kunde inte leverera
    kunne ikke levere|toimitus epäonnistui|toimittaminen epäonnistui|nu a putut fi livrat|nu poate fi livrat|nije isporučen
    ni bilo mogoče dostaviti|не удается доставить|не может быть отправлено|невозможно отправить|не доставлена|не може бути доставлен
    не вдалося доставити|не може да бъде доставено|δεν παραδόθηκε|αδύνατη η παράδοση|αποτυχία παράδοσης|δεν είναι δυνατή η παράδοση
    iletilemedi|teslim edilemeyen|gönderilemedi|לא ניתן למסור|לא נמסרה|تعذر تسليم|تعذّر تسليم|لم يتم تسليم|ไม่สามารถส่ง|không thể gửi
    không gửi được|tidak terkirim|tidak dapat dikirim|未能送达|未能投递|邮件被退回|無法寄達|無法送達|寄送失敗
""")
#: It is given up for good, in words.
_PERMANENT = _listed("permanent error|permanent fatal|permanent failure|permanent delivery|failed permanently")
#: The end of what was tried again and again, whatever else a letter quotes.
_ENDED = _listed("""
    not going to try again|i've given up|in the queue too long|has stopped trying|no further attempts|will not be retried
    no longer be retried|giving up on
""")
#: Beginnings of subjects that only mail systems write: if a person passes such a mail on, another word comes first.
_FAILED_SUBJECTS = _listed("""
    undeliver|delivery fail|delivery_fail|mail delivery fail|mail could not be delivered|message could not be delivered
    sorry, your message could not be delivered|message undeliver|returned mail|failure notice|failed mail
    delivery status notification (failure)|permanent delivery failure|non-delivery|nondeliverable|mail system error|[bounce]
    could not deliver|failed to deliver|error sending message|permanent failure|permanent delivery error
    message status - undeliverable|mail delivery error|message not delivered|message delivery failure|unzustellbar
    nicht zustellbar|zustellungsfehler|zustellfehler|zustellung fehlgeschlagen|onbestelbaar|non remis|message non remis
    message non delivre|echec de la remise|echec de remise|non recapitabile|mancata consegna
    avviso di mancata consegna|impossibile recapitare
    no se puede entregar|no entregado|no se pudo entregar|nao e possivel entregar|nao entregue|falha na entrega|niedostarcz
    niedorecz|nedoruciteln|nelze dorucit|kezbesithetetlen|kan inte leverera|inte leverera|ikke levert|kan ikke leveres
    toimittaminen epaonnistui|nelivrat|teslim edilemedi|недоставлен|не удается доставить|не доставлено
    配信不能|無法傳遞|无法送达|无法投递
    退信|배달되지|반송
""")
#: It is not given up yet, or it was delivered. In a subject, and anywhere.
_DELAYED_SUBJECTS = _listed("""
    delay|warning: message|warning: could not send|delivery warning|verzoger|retard|retras|ritardo|vertraag|opoznien|zpozden
    atraso|atrasad|forsenad|forsinke|задерж|延迟|延遲|遅延
    quarantine|quarantane|quarantaine|cuarentena|quarantena|temporarily|greylist|kesleltet|gecikme|지연|배달 지연
""")
_DELAYED = _listed("""
    no action is required|this is a warning message only|warning message only|not need to resend|not need to send
    attempts will continue|attempts to deliver the message will|attempts to deliver your message will|will continue to
    will keep trying|keep trying|still trying|will be retried|will retry|been postponed|not yet been delivered
    not been delivered yet|will try again|is being delayed|has been delayed|was successfully|been successfully
    successfully delivered|temporary delivery problems|has been delivered to|was delivered to|is waiting for approval
    noch nicht zugestellt|weitere versuche|weitere zustellversuche|weiter versucht|weiterhin versuch|noch einmal zu senden
    nicht erneut zu senden|pas encore ete|continuera d'essayer|continueront|nuevos intentos|seguira intentando
    no es necesario que vuelva|aun no se ha entregado|todavia no se ha entregado|ancora stato consegnato|altri tentativi
    ulteriori tentativi|ainda nao foi entregue|novas tentativas|nog niet bezorgd|nog niet afgeleverd|opnieuw geprobeerd
    jeszcze nie zosta|kolejne proby|пока не доставлен|еще не доставлен|попытки доставки
    まだ配信|再送信を続け|配信を続け|再試行され|再試行し続|尚未|继续尝试|繼續嘗試
    still in the queue|keep retrying|will be tried again|be tried again|temporarily deferred|has been deferred|is deferred
    wird erneut versucht|nouvelles tentatives|volvera a intentar|riprovera|ritentera|tentara novamente|annu inte
    nya forsok|enna ikke|endnu ikke|nye forsok|nye forsog|viela|yrittaa uudelleen|zatim|dosud ne|zatial|bude dale zkouset
    meg nem|kesobb ujra|ujra probal|inca nu|va reincerca|henuz
    tekrar denenecek|yeniden denenecek|ακομη δεν|ακομα δεν|ще не доставлен|буде повторено
    עדיין לא|ינסה שוב|بعد المحاولة|إعادة المحاولة
    ยังไม่ถูกส่ง|ยังไม่ได้ส่ง|chưa được gửi|se thu lai|belum terkirim|akan dicoba|아직|다시 시도합니다
""")
#: Words that mail programs put before the subject of an answer or a forward, in their languages.
_ANSWER = re.compile(
    r"(?:re|aw|sv|vs|antw|odp|rif|res|resp|r|ynt|fwd?|wg|tr|rv|enc|i|vl|vb|doorst|pd|\u56de\u590d|\u7b54\u590d|\u8f6c\u53d1|\u8f49\u5bc4"
    r"|\u56de\u8986)(?:\[[0-9]{1,3}\])?\s{0,3}[:\uff1a]",
    re.IGNORECASE,
)


def fails(text: str) -> bool:
    """Whether a text says that something was given up."""
    return _says(text, _FAILED)


def is_permanent(text: str) -> bool:
    """Whether a text says that something was given up for good."""
    return _says(text, _PERMANENT)


def delays(text: str) -> bool:
    """Whether a text says that there will be another try, or that something was delivered: then nothing was given up."""
    return _says(text, _DELAYED) and not _says(text, _ENDED)


def is_about_failure(subject: str) -> bool:
    """Whether a subject is one under which mail systems report a failure."""
    return _folded(subject).startswith(_FAILED_SUBJECTS)


def is_about_delay(subject: str) -> bool:
    """Whether a subject is one under which mail systems tell of a delay."""
    return _says(subject, _DELAYED_SUBJECTS)


def is_answer(subject: str) -> bool:
    """Whether a subject begins as those of answers and forwards do: mail systems put a word of their own before it."""
    return bool(_ANSWER.match(subject.lstrip()))


def _says(text: str, words: tuple[str, ...]) -> bool:
    folded = _folded(text)
    return any(one in folded for one in words)
