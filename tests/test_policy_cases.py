"""Six cases that regulators decided, as policies: the flow that they objected to, and its safe twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import taint
from taint.testing import record


@dataclass(frozen=True)
class Case:
    """One case.

    Args:
        policy: What a company would have written down.
        collected: Purpose, category and source of the data.
        twin: What the same data is collected for where the use is right.
        use: Purpose and name of the sink.
        value: An invented value.
        consents: Whether the person of the twin, and only that one, agrees to the use.
        rule: The rule that decides.
    """

    policy: dict[str, Any]
    collected: tuple[str, str, str]
    twin: tuple[str, ...]
    use: tuple[str, str]
    value: str
    consents: bool = False
    rule: str = "purpose-limitation"


CASES = {
    # Twitter, 2019 to 2022: phone numbers and email addresses given for account security were matched to advertisers'
    # lists (Tailored Audiences, Partner Audiences). 150 million dollars. United States v. Twitter, Inc.,
    # No. 3:22-cv-03070 (N.D. Cal., filed 25 May 2022, order of 26 May 2022).
    # https://www.ftc.gov/news-events/news/press-releases/2022/05/ftc-charges-twitter-deceptively-using-account-security-data-sell-targeted-ads
    "twitter": Case(
        policy={},
        collected=("security.mfa", "user.contact.phone_number", "accounts.enrol_two_factor"),
        twin=("security.mfa", "advertising.audiences"),
        use=("advertising.audiences", "ads.tailored_audiences"),
        value="+14155550100",
    ),
    # Facebook, 2019: the order forbids advertising with telephone numbers obtained for a security feature such as
    # two-factor authentication. Part of the settlement of 5 billion dollars. United States v. Facebook, Inc.,
    # No. 19-cv-2184 (D.D.C., filed 24 July 2019, order of 23 April 2020).
    # https://www.ftc.gov/news-events/news/press-releases/2019/07/ftc-imposes-5-billion-penalty-sweeping-new-privacy-restrictions-facebook
    "facebook": Case(
        policy={
            "rules": [
                {
                    "name": "no-security-numbers-in-ads",
                    "effect": "deny",
                    "from": ["security"],
                    "to": ["advertising"],
                    "categories": ["user.contact.phone_number"],
                    "message": "Numbers given for security are never used for advertising.",
                    "priority": 100,
                },
                {"name": "ads-team", "effect": "allow", "to": ["advertising"], "sinks": ["ads.*"]},
            ]
        },
        collected=("security.mfa", "user.contact.phone_number", "accounts.enrol_two_factor"),
        twin=("security.mfa", "marketing"),
        use=("advertising.targeting", "ads.custom_audience"),
        value="+14155550101",
        rule="no-security-numbers-in-ads",
    ),
    # GoodRx, 2023: what people bought and which conditions they looked up went to advertising platforms without
    # their consent. The order forbids health data for advertising; 1.5 million dollars. United States v. GoodRx
    # Holdings, Inc., No. 23-cv-460 (N.D. Cal., filed 1 February 2023, order of 17 February 2023).
    # https://www.ftc.gov/news-events/news/press-releases/2023/02/ftc-enforcement-action-bar-goodrx-sharing-consumers-sensitive-health-info-advertising
    "goodrx": Case(
        policy={
            "rules": [
                {
                    "name": "health-never-in-ads",
                    "effect": "deny",
                    "to": ["advertising", "sharing"],
                    "categories": ["user.health_and_medical"],
                    "unless": {"consent": True},
                    "priority": 100,
                }
            ]
        },
        collected=("advertising", "user.health_and_medical", "shop.coupon_for_drug"),
        twin=("advertising",),
        use=("advertising.audiences", "pixels.drug_name"),
        value="an antibiotic",
        consents=True,
        rule="health-never-in-ads",
    ),
    # Everalbum, 2021: photographs that people stored were used to train face recognition; the order asks for express
    # consent, and for the models to be deleted. In the Matter of Everalbum, Inc., FTC File No. 192 3172.
    # https://www.ftc.gov/news-events/news/press-releases/2021/01/california-company-settles-ftc-allegations-it-deceived-consumers-about-use-facial-recognition-photo
    "everalbum": Case(
        policy={
            "rules": [
                {
                    "name": "training-by-consent",
                    "effect": "allow",
                    "from": ["service"],
                    "to": ["ai.training"],
                    "categories": ["user.content.self_image"],
                    "consent": True,
                }
            ]
        },
        collected=("service", "user.content.self_image", "albums.upload"),
        twin=("service",),
        use=("ai.training", "faces.train"),
        value="a photograph",
        consents=True,
    ),
    # H&M, Hamburg 2020: what employees told of illnesses and families in talks after an absence was kept, and used
    # for decisions about their employment. 35.3 million euros.
    # https://www.edpb.europa.eu/news/national-news/2020/hamburg-commissioner-fines-hm-353-million-euro-data-protection-violations_en
    "h-and-m": Case(
        policy={
            "purposes": {
                "employment.wellbeing": {"definition": "Help employees back to work after an absence."},
                "employment.evaluation": {"definition": "Judge employees' work."},
            }
        },
        collected=("employment.wellbeing", "user.health_and_medical", "talks.welcome_back"),
        twin=("employment.evaluation",),
        use=("employment.evaluation", "staff.evaluate"),
        value="a diagnosis",
    ),
    # AOK Baden-Württemberg, 2020: contact details of people who took part in prize draws were used for advertising,
    # of more than 500 without their consent. 1.24 million euros, for breach of article 32 of the GDPR; announced by the
    # state's data protection commissioner (LfDI) in June 2020.
    # https://www.efdpo.eu/baden-wuerttemberg-state-commissioner-imposes-fine-on-aok-baden-wuerttemberg/
    "aok": Case(
        policy={
            "purposes": {"marketing.prize_draw": {"definition": "Draw and tell the winners."}},
            "rules": [
                {
                    "name": "advertising-by-consent",
                    "effect": "allow",
                    "from": ["marketing.prize_draw"],
                    "to": ["marketing"],
                    "consent": True,
                }
            ],
        },
        collected=("marketing.prize_draw", "user.contact.email", "draws.take_part"),
        twin=("marketing.prize_draw",),
        use=("marketing.email", "campaigns.send"),
        value="ann@example.com",
        consents=True,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case_and_its_safe_twin(case: Case) -> None:
    """The flow of the case is stopped by the rule that was written for it, and its twin passes without a finding."""
    store = taint.InMemoryConsentStore()
    taint.configure(policy=case.policy, consent=store)
    purpose, category, source = case.collected
    use, sink = case.use
    reached: list[str] = []
    taken = taint.label(case.value, purpose=purpose, category=category, source=source, subject="1")
    given = taint.label(case.value, purpose=case.twin, category=category, source=source, subject="2")
    if case.consents:
        store.give("2", use)
        store.withdraw("1", use)

    @taint.sink(purpose=use, name=sink)
    def send(rows: list[dict[str, str]]) -> None:
        reached.extend(row["value"] for row in rows)

    with record() as seen, pytest.raises(taint.PurposeViolationError) as caught:
        send([{"value": taken}])
    assert reached == []
    (flow,) = seen.violations
    assert (flow.rule, flow.sink, flow.purpose, flow.path) == (case.rule, sink, use, "rows[0].value")
    assert flow.labels.sources == {source}
    assert case.value not in str(caught.value)

    with record() as seen:
        send([{"value": given}])
    assert reached == [case.value]
    assert seen.violations == seen.gaps == []
