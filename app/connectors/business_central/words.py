"""What each credential and setting of a Business Central company is, for whoever types it."""

WORDS = {
    "token_url": "The address that gives tokens, with the tenant in it (Entra ID, OAuth 2.0).",
    "client_id": "The application's id in Entra ID.",
    "client_secret": "The application's secret.",
    "username": "On premises only: the user's name.",
    "password": "On premises only: the user's web service key.",
    "account.shipping": "The G/L account of shipping lines, with Direct Posting.",
    "account.tax": "The G/L account of tax lines, with Direct Posting.",
    "account.fee": "The G/L account of fees, with Direct Posting.",
    "account.rounding": "The G/L account of rounding lines, with Direct Posting.",
    "account.gift_card": "The G/L account of gift cards, with Direct Posting.",
    "tax.mode": "line: the shop's tax is one account line. erp: Business Central works tax out.",
    "tax.code": "With tax.mode=erp the code of item lines; none keeps each item's own.",
    "tax.non_taxed_code": "The tax group or VAT product posting group that bears no tax.",
    "company_currency": "The company's own currency; orders in it are sent without a currency code.",
    "country.XX": "The company's own code for a country, by the country's ISO code, as in country.GB=UK.",
    "scope": "The scope of the token.",
    "batch": "auto: several requests in one call where the service takes that. off: never.",
    "calls_at_once": "Calls that run at a time for this user, from all processes together.",
    "calls_per_5_minutes": "Calls in any five minutes for this user, from all processes together.",
}
