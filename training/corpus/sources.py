"""The sources of the corpus: repositories and Debian packages, with their kinds, languages and licences.

Every licence here allows any use of what is learned from the text: public domain, CC0, CC-BY, CC-BY-SA, or a free
software or documentation licence. Loghub's logs, free for research only, are not here.
"""

import re
from dataclasses import dataclass

PD = "public domain"
MB = 1_000_000


@dataclass
class Source:
    where: str  # OWNER/NAME: a repository; else a Debian package
    kind: str  # book, wiki, manual, code, log
    language: str  # a code, or a pattern whose first group in the path is the code
    licence: str
    include: str  # pattern for the files' paths
    limit: float = 2  # megabytes of text at most; beyond that, files are chosen by a hash of their names
    exclude: str = "(?!)"
    branch: str = "HEAD"
    whole: bool = False  # each file is a document; otherwise small files are joined

    @property
    def repository(self):
        return "/" in self.where

    def language_of(self, path):
        if "(" not in self.language:
            return self.language
        found = re.search(self.language, path)
        return LANGUAGES.get(found[1], re.split("[-_]", found[1])[0]) if found else "en"


LANGUAGES = {"": "en", "C": "en", "us": "en", "es-419": "es", "cn": "zh", "jp": "ja", "kr": "ko"}

ELTEC = "texts public domain, encoding CC-BY-4.0"
STANDARD_EBOOKS = (
    """adam-smith_the-wealth-of-nations alexandre-dumas_the-count-of-monte-cristo_chapman-and-hall
ambrose-bierce_the-devils-dictionary anthony-trollope_the-way-we-live-now
anton-chekhov_short-fiction_constance-garnett arthur-conan-doyle_the-adventures-of-sherlock-holmes
bertrand-russell_the-problems-of-philosophy bram-stoker_dracula charles-darwin_the-origin-of-species
charles-dickens_bleak-house charles-dickens_david-copperfield charles-dickens_little-dorrit
edgar-allan-poe_short-fiction edith-wharton_the-age-of-innocence
edward-gibbon_the-history-of-the-decline-and-fall-of-the-roman-empire
friedrich-nietzsche_thus-spake-zarathustra_thomas-common
fyodor-dostoevsky_the-brothers-karamazov_constance-garnett george-eliot_middlemarch
h-p-lovecraft_short-fiction henry-david-thoreau_walden henry-james_the-portrait-of-a-lady jane-austen_emma
jane-austen_pride-and-prejudice joseph-conrad_nostromo
leo-tolstoy_anna-karenina_constance-garnett marcel-proust_in-search-of-lost-time_c-k-scott-moncrieff
mark-twain_the-adventures-of-huckleberry-finn miguel-de-cervantes-saavedra_don-quixote_john-ormsby
p-g-wodehouse_love-among-the-chickens samuel-pepys_the-diary theodore-dreiser_an-american-tragedy
thomas-hardy_tess-of-the-durbervilles victor-hugo_les-miserables_isabel-f-hapgood virginia-woolf_jacobs-room
wilkie-collins_the-woman-in-white william-james_the-varieties-of-religious-experience
william-makepeace-thackeray_vanity-fair""".split()
)

BOOKS = [
    *(
        Source(f"standardebooks/{name}", "book", "en", PD + ", edition CC0-1.0", r"epub/text/.*xhtml$", 30)
        for name in STANDARD_EBOOKS
    ),
    Source("computationalstylistics/100_english_novels", "book", "en", PD, r"^corpus/.*txt$", 75, whole=True),
    *(
        Source(f"COST-ELTeC/ELTeC-{name}", "book", language, ELTEC, r"^level[01]/.*xml$", limit, whole=True)
        for name, language, limit in (
            ("eng", "en", 50),
            ("deu", "de", 14),
            ("fra", "fr", 14),
            ("spa", "es", 13),
            ("por", "pt", 5),
            ("ita", "it", 6),
            ("pol", "pl", 4),
            ("hun", "hu", 2),
            ("cze", "cs", 2),
            ("rom", "ro", 2),
            ("swe", "sv", 2),
            ("ukr", "uk", 4),
            ("rus", "ru", 12),
            ("gre", "el", 2),
            ("srp", "sr", 1),
            ("slv", "sl", 1),
        )
    ),
    Source("dracor-org/gerdracor", "book", "de", "CC0-1.0", r"^tei/.*xml$", 6, whole=True),
    Source("dracor-org/rusdracor", "book", "ru", "CC0-1.0", r"^tei/.*xml$", 14, whole=True),
    Source(
        "aozorahack/aozorabunko_text",
        "book",
        "ja",
        PD + "; texts that Aozora Bunko marks as still protected are left out",
        r"^cards/.*\.txt$",
        14,
    ),
    Source(
        "chinese-poetry/chinese-poetry",
        "book",
        "zh",
        "MIT",
        r"(全唐诗/poet\.|宋词/ci|论语|四书|诗经|楚辞|元曲|幽梦影|蒙学).*json$",
        9,
    ),
    Source(
        "PyThaiNLP/thaigov-v2-corpus", "book", "th", PD + ", collection CC0-1.0", r"^data/20(19|2).*txt$", 60
    ),
    Source("PyThaiNLP/thai-law", "manual", "th", PD + ", collection CC0-1.0", r"data/.*csv$", 1),
    Source(
        "seven1m/open-bibles",
        "book",
        r"^(\w+)-",
        PD,
        r"^(deu|fra|ita|jpn|kor|pol|rus|tha|vie|por|chi-cuv-simp).*xml$",
        30,
        whole=True,
    ),
]
LANGUAGES |= dict(
    deu="de",
    fra="fr",
    ita="it",
    jpn="ja",
    kor="ko",
    pol="pl",
    rus="ru",
    tha="th",
    vie="vi",
    por="pt",
    chi="zh",
)

WIKIS = [
    Source(
        "tatuylonen/wiktextract", "wiki", "en", "CC-BY-SA-3.0 and GFDL", r"test-pages-articles\.xml\.bz2$", 12
    ),
    Source(
        "spencermountain/wtf_wikipedia",
        "wiki",
        "en",
        "CC-BY-SA-4.0",
        r"^tests/cache/.*txt$",
        3,
        exclude="anarchism|redirect",
        whole=True,
    ),
    Source("OpenTTD/wiki-data", "wiki", r"^\w+/(\w+)/", "GFDL-1.3", r"^Page/.*mediawiki$", 16),
    Source(
        "emacsmirror/emacswiki.org",
        "wiki",
        "en",
        "GPL-2+, GFDL-1.3 or CC-BY-SA-1.0",
        r"^[^.]+$",
        10,
        branch="master",
    ),
    Source("dict-gcide", "wiki", "en", "GPL-3+ (Webster 1913)", r"dictd/.*dict.dz$", 8),
    Source("dict-foldoc", "wiki", "en", "GFDL-1.1+", r"dictd/.*dict.dz$", 6),
    Source("dict-jargon", "wiki", "en", PD, r"dictd/.*dict.dz$", 2),
    Source("dict-elements", "wiki", "en", PD, r"dictd/.*dict.dz$", 1),
]

PO = "PSF-2.0, translations CC0-1.0"
CC_BY = "CC-BY-4.0"
TRANSLATED = [
    *(
        Source(f"python/python-docs-{tag}", "manual", language, PO, r"\.po$", limit, branch=branch)
        for tag, language, branch, limit in (
            ("ja", "ja", "3.11", 5),
            ("ko", "ko", "3.13", 3),
            ("zh-cn", "zh", "3.13", 8),
            ("fr", "fr", "3.13", 4),
            ("es", "es", "HEAD", 4),
        )
    ),
    *(
        Source(f"reactjs/{tag}.react.dev", "manual", tag.split("-")[0], CC_BY, r"^src/content/.*md$", 2)
        for tag in ("ko", "ar", "hi", "ru", "zh-hans", "fr")
    ),
    Source("vuejs-translations/docs-ja", "manual", "ja", CC_BY, r"^src/.*md$", 2),
    Source("OI-wiki/OI-wiki", "wiki", "zh", "CC-BY-SA-4.0", r"^docs/.*md$", 6),
    Source(
        "fastapi/fastapi", "manual", r"^docs/([\w-]+)/", "MIT", r"^docs/.*md$", 12, exclude="release-notes"
    ),
    Source(
        "tensorflow/docs-l10n",
        "manual",
        r"^site/([\w-]+)/",
        "CC-BY-4.0, code Apache-2.0",
        r"^site/.*(md|ipynb)$",
        14,
        exclude=r"^site/en-snapshot",
    ),
    Source("tldr-pages/tldr", "manual", r"^pages\.?(\w*)/", CC_BY, r"^pages[^/]*/.*md$", 10),
    Source("rust-lang-ja/book-ja", "manual", "ja", "MIT or Apache-2.0", r"^src/.*md$", 2),
    *(
        Source(f"libreoffice-help-{tag}", "manual", tag.split("-")[0], "MPL-2.0", r"/text/.*html$", limit)
        for tag, limit in (
            *((tag, 2) for tag in "cs da el fi hu id nl pl pt-br sv tr vi zh-tw".split()),
            *((tag, 3) for tag in "de es fr hi it ja ko ru zh-cn en-us".split()),
        )
    ),
    *(
        Source(
            f"manpages-{tag}",
            "manual",
            tag.split("-")[0],
            "each page's own: GPL, GFDL, BSD, verbatim",
            r"/man/.*gz$",
            2.5,
        )
        for tag in "cs de el es fr hu it ja nl pl pt-br ro ru sv tr uk vi zh".split()
    ),
    *(
        Source(f"debian-{part}-{tag}", "manual", tag.split("-")[0], "GPL-2+", r"\.(html|txt)(\.gz)?$")
        for part, tags in (
            ("reference", "de es fr it ja pt zh-cn zh-tw"),
            ("faq", "de fr it ja ko nl pt ru zh-cn"),
            ("edu-doc", "da de es fr it ja nl pt-br pt-pt zh-cn"),
        )
        for tag in tags.split()
    ),
    *(
        Source(f"{part}-{tag}", "manual", tag.split("-")[0], licence, r"\.(html|txt)(\.gz)?$")
        for part, licence, tags in (
            ("maint-guide", "GPL-2+", "de es fr it ja ru vi zh-cn"),
            ("developers-reference", "GPL-2+", "de fr ja ru it"),
            ("aptitude-doc", "GPL-2+", "cs es fi fr it ja nl ru"),
            ("gimp-help", "GFDL-1.2+", "el ja ko ru"),
            ("kicad-doc", "GPL-3+ or CC-BY-3.0", "de es fr it pl zh"),
            ("lilypond-doc-html", "GFDL-1.3+", "de es fr it ja nl"),
        )
        for tag in tags.split()
    ),
    Source("debian-handbook", "manual", r"html/([\w-]+)/", "GPL-2+ or CC-BY-SA-3.0", r"\.html$", 18),
    Source("installation-guide-amd64", "manual", r"/(\w\w)(?:_\w\w)?/", "GPL-2+", r"\.html(\.gz)?$", 6),
    Source("gnome-user-docs", "manual", r"/help/(\w+)", "CC-BY-SA-3.0", r"\.(page|xml)$", 20),
    Source("live-manual-html", "manual", r"\.(\w\w)(?:_\w\w)?\.html", "GPL-3+", r"\.html$", 3),
]

MANUALS = [
    Source(package, "manual", "en", licence, include, limit)
    for package, licence, limit, include in (
        (name, licence, limit, r"doc/.*\.(html?|txt|pod|rst)(\.gz)?$|/man/.*gz$|/perl/.*pod$")
        for name, licence, limit in (
            ("anarchism", "GPL-2", 3),
            ("harden-doc", "GPL-2", 2),
            ("debian-history", "GPL-2", 1),
            ("debian-faq", "GPL-2", 1),
            ("cfi-en", PD, 1),
            ("git-doc", "GPL-2", 3),
            ("postgresql-doc-15", "PostgreSQL", 7),
            ("perl-doc", "Artistic or GPL-1+", 6),
            ("apache2-doc", "Apache-2.0", 3),
            ("sqlite3-doc", PD, 5),
            ("debian-policy", "GPL-2+", 1),
            ("maint-guide", "GPL-2+", 1),
            ("gnu-standards", "GFDL-1.3+", 1),
            ("manpages", "each page's own: GPL, BSD, verbatim", 3),
            ("manpages-dev", "each page's own: GPL, BSD, verbatim", 4),
            ("r-doc-html", "GPL-2+", 3),
            ("exim4-doc-html", "GPL-2+", 2),
            ("aptitude-doc-en", "GPL-2+", 1),
            ("linux-doc-6.1", "GPL-2", 8),
            ("python3.11-doc", "PSF-2.0", 6),
            ("python-django-doc", "BSD-3-Clause", 3),
            ("python-pandas-doc", "BSD-3-Clause", 3),
            ("python-sqlalchemy-doc", "MIT", 3),
            ("twisted-doc", "MIT", 2),
            ("octave-doc", "GPL-3+", 2),
            ("maxima-doc", "GPL-2+", 2),
            ("pari-doc", "GPL-2+", 1),
            ("singular-doc", "GPL-2+", 2),
            ("gretl-doc", "GPL-3+", 1),
            ("ghc-doc", "BSD-3-Clause", 3),
            ("nodejs-doc", "MIT", 3),
            ("openjdk-17-doc", "GPL-2 with exception", 4),
            ("rust-doc", "MIT or Apache-2.0", 5),
            ("tcl8.6-doc", "TCL", 2),
            ("bind9-doc", "MPL-2.0", 2),
            ("postfix-doc", "IPL-1.0 or EPL-2.0", 2),
            ("debian-kernel-handbook", "GPL-2+", 1),
            ("lilypond-doc-html", "GFDL-1.3+", 2),
            ("kicad-doc-en", "GPL-3+ or CC-BY-3.0", 1),
            ("postgis-doc", "CC-BY-SA-3.0", 1),
            ("bash-doc", "GFDL-1.3+", 1),
            ("cmake-doc", "BSD-3-Clause", 2),
            ("debian-edu-doc-en", "GPL-2+", 1),
            ("gnuplot-doc", "gnuplot", 1),
            ("libstdc++-12-doc", "GFDL-1.3+", 2),
        )
    )
] + [
    Source("vim-doc", "manual", "en", "Vim and OPL-1.0", r"/doc/.*html$", 3),
    Source("developers-reference", "manual", "en", "GPL-2+", r"\.html$", 1),
    Source("debian-reference-en", "manual", "en", "GPL-2+", r"\.html$", 1),
]

CODE = [
    Source("golang-1.19-src", "code", "go", "BSD-3-Clause", r"\.go$", 9, exclude="testdata"),
    Source("golang-google-grpc-dev", "code", "go", "Apache-2.0", r"\.go$", 2),
    Source(
        "linux-source-6.1",
        "code",
        "c",
        "GPL-2",
        r"/(kernel|mm|net/ipv4|fs/ext4|lib|drivers/net/ethernet/intel)/.*\.[ch]$",
        12,
    ),
    Source("openjdk-17-source", "code", "java", "GPL-2 with exception", r"java\.base/.*\.java$", 8),
    Source("rust-src", "code", "rust", "MIT or Apache-2.0", r"/library/(core|std|alloc)/.*\.rs$", 7),
    Source("libruby3.1", "code", "ruby", "BSD-2-Clause or Ruby", r"\.rb$", 3),
    Source("perl-modules-5.36", "code", "perl", "Artistic or GPL-1+", r"\.p[ml]$", 4),
    Source("python3-django", "code", "python", "BSD-3-Clause", r"\.py$", 5),
    Source("python3-sympy", "code", "python", "BSD-3-Clause", r"\.py$", 5),
    Source("python3-sqlalchemy", "code", "python", "MIT", r"\.py$", 4),
    Source("python3-twisted", "code", "python", "MIT", r"\.py$", 4),
    Source("libpython3.11-stdlib", "code", "python", "PSF-2.0", r"\.py$", 8),
    Source("TheAlgorithms/Python", "code", "python", "MIT", r"\.py$", 3),
    Source("antirez/redis", "code", "c", "BSD-3-Clause", r"src/.*\.[ch]$", 3),
    Source(
        "libboost1.74-dev",
        "code",
        "c++",
        "BSL-1.0",
        r"\.hpp$",
        6,
        exclude="preprocess|/mpl/|typeof|vector/vector",
    ),
    Source("node-typescript", "code", "js", "Apache-2.0", r"/lib/lib\..*\.ts$|lib/typescript\.js$", 2),
    Source("node-babel7", "code", "js", "MIT", r"\.js$", 3),
    Source("libjs-jquery-ui", "code", "js", "MIT", r"\.js$", 1, exclude=r"min\.js"),
    Source("webpack", "code", "js", "MIT", r"\.js$", 2),
    Source("php-symfony", "code", "php", "MIT", r"\.php$", 2),
    Source("phpmyadmin", "code", "php", "GPL-2+", r"\.(php|twig)$", 3),
    Source("roundcube-core", "code", "php", "GPL-3+", r"\.(php|js)$", 2, exclude="localization"),
    Source("wordpress", "code", "php", "GPL-2+", r"\.php$", 5),
    Source("tcllib", "code", "tcl", "TCL", r"\.tcl$", 3),
    Source("emacs-el", "code", "lisp", "GPL-3+", r"\.el(\.gz)?$", 6),
    Source("sbcl-source", "code", "lisp", PD + " and BSD-2-Clause", r"\.lisp$", 3),
    Source("racket-common", "code", "lisp", "MIT or Apache-2.0", r"\.rkt$", 3),
    Source("redmine", "code", "ruby", "GPL-2+", r"\.(rb|erb)$", 2, exclude="locales"),
    Source("lua-penlight", "code", "lua", "MIT", r"\.lua$", 1),
    Source("selinux-policy-doc", "code", "m4", "GPL-2+", r"\.if$", 1),
]

LOGS = [
    Source("crowdsecurity/hub", "log", "log", "MIT", r"^\.tests/.*\.log$", 6, whole=True),
    Source(
        "tstack/lnav", "log", "log", "BSD-2-Clause", r"^test/logfile_", 2, exclude=r"bro_|openam", whole=True
    ),
    Source("fail2ban/fail2ban", "log", "log", "GPL-2+", r"tests/files/logs/", 1, whole=True),
    Source("ossec/ossec-hids", "log", "log", "GPL-2", r"etc/rules/log-entries/", 1, whole=True),
    Source(
        "elastic/examples",
        "log",
        "log",
        "Apache-2.0",
        r"(apache_logs/apache_logs|nginx_logs/nginx_logs|nginxplus_json_logs|monitoring/logs/.*)$",
        8,
        whole=True,
    ),
    Source("OTRF/Security-Datasets", "log", "log", "MIT", r"zeek/.*\.log$", 3, whole=True),
]

SOURCES = BOOKS + WIKIS + TRANSLATED + MANUALS + CODE + LOGS

# Limit in megabytes of each kind and language over all sources; beyond it, documents are chosen by hash. All logs are
# kept.
MOST, MOST_OF_OTHERS = {"book-en": 85, "manual-en": 48, "wiki-en": 36}, 14

# Held out as a whole: authors, in any collection and any spelling of their names; and parts of sources.
HELD_AUTHORS = re.compile(
    r"wharton|thoreau|bertrand[ -]russell|gissing|pardo.baz|fontane|jules.verne|FRA\d+_Verne|turgenev|тургенев|verga|sienkiewicz"
    r"|e[cç]a[ _]?de[ _]?queir|amicis|unamuno|orzeszkowa|cards/000879/",
    re.IGNORECASE,
)
HELD_PARTS = [
    ("PyThaiNLP/thaigov-v2-corpus", r"^data/2024/0[1-3]"),
    ("chinese-poetry/chinese-poetry", r"楚辞|幽梦影|四书"),
    ("spencermountain/wtf_wikipedia", r"cache/[A-Hc-l]"),
    ("OpenTTD/wiki-data", r"^Page/en/(Manual|Community)/[S-Z]"),
    ("python/python-docs-zh-cn", r"^tutorial/"),
    ("python/python-docs-ja", r"^tutorial/"),
    ("python/python-docs-ko", r"^tutorial/"),
    ("debian-reference-\\w+", r""),
    ("python3-sqlalchemy", r""),
    ("golang-google-grpc-dev", r""),
    ("antirez/redis", r"src/[a-c]"),
    ("exim4-doc-html", r""),
    ("bind9-doc", r""),
    ("crowdsecurity/hub", r"tests/(cpanel|dovecot|haproxy|mariadb|proftpd|vsftpd|zimbra|k8s|traefik)"),
    ("tstack/lnav", r"logfile_(glog|strace|haproxy|vmw|vpostgres|xml|epoch|redis)"),
]

# Texts kept for the project's evaluation, by content and by title: two novels, the HDFS and BGL logs, the first
# pages of enwik8, LogJuicer's test logs, SQuALITY's stories.
FORBIDDEN = re.compile(
    r"Call me Ishmael|so Genoa and Lucca|Eh bien, mon prince\. Gênes|Nennt mich Ismael|Appelez-moi Ismaël"
    r"|dfs\.DataNode\$|dfs\.FSNamesystem|R\d\d-M[01]-N\w-[CI]:J\d\d|testr-nodepool|zuul-console|dib-01"
    r"|'''Anarchism''' is|'''Autism''' is|Galaxy Science Fiction"
)
FORBIDDEN_NAMES = re.compile(
    r"moby[-_ ]?dick|war[-_ ]and[-_ ]peace|voyna-i-mir|война-и-мир|guerre-et-paix|krieg-und-frieden|enwik|squality"
    r"|loghub|logjuicer|\bBGL\b|\bHDFS\b",
    re.IGNORECASE,
)
