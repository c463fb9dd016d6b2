//! `earnest community`: communities and who belongs to them.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use hub::{
    access::{Audience, Role},
    communities::{
        CandidaciesView, CandidacyBody, CommunityBody, CommunityView, InvitationView, MemberView,
        MembershipBody,
    },
    governance::SettingView,
    ledger::StandingView,
    page::Page,
    records::RecordId,
};
use protocol::chain::AccountId;

use super::{Session, identity::tell_document, ledger, query, record_id};
use crate::output::print;

/// Communities.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Begin a community; you are its steward
    #[command(after_help = "Example:\n  earnest --as ida community create 'Repair café'")]
    Create {
        /// Its name
        name: String,
    },
    /// Show a community and its first 1,000 members, or list those that you may see
    Show {
        /// Its id
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
        /// Of the list: `next` of the page before
        #[arg(long, conflicts_with = "id")]
        after: Option<String>,
    },
    /// Show the DID document of a community, as everybody finds it under its did:web: its stewards. One that strangers may not read
    /// has none
    #[command(after_help = "Example:\n  earnest community did zQmCommunity…")]
    Did {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
    },
    /// List everybody who belongs to a community, the oldest members first, in pages of 100
    #[command(after_help = "Example:\n  earnest community members zQmCommunity…")]
    Members {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// Show what holds in a community for proposals with an effect, and within which bounds a vote may set it
    #[command(after_help = "Example:\n  earnest community settings zQmCommunity…\nA vote sets one:\n  \
        earnest --as ida proposal open zQmCommunity… 'Longer votes' \
        --effect '{\"setting\": {\"setting\": \"window_min_seconds\", \"value\": \"604800\"}}'")]
    Settings {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
    },
    /// Show what a community's treasury has, in each asset. Nobody has a key of it: votes spend it, `proposal deposit` fills it
    #[command(after_help = "Example:\n  earnest community treasury zQmCommunity…")]
    Treasury {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// As a steward: let an account belong to a community. Whoever has not asked for it joins by its own word
    #[command(after_help = "Example:\n  earnest --as ida community add-member zQmCommunity… zQmAccount…")]
    AddMember {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
        /// As what
        #[arg(long, value_enum, default_value_t = As::Member)]
        role: As,
    },
    /// Belong to a community: at once where you are invited, else when a steward or a vote lets you in
    #[command(after_help = "Example:\n  earnest --as ben community join zQmCommunity…")]
    Join {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// As what
        #[arg(long, value_enum, default_value_t = As::Member)]
        role: As,
    },
    /// Show memberships that wait for your word, or for that of a community in which you are a steward
    Invitations {
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// Let a vote of a community put you on the lists of its pools, with this wallet of yours
    #[command(
        after_help = "A list names who may be drawn for juries. It is on the chain, where everybody reads it for ever: whoever \
        knows the\nwallet learns that it is of this community. The hub shows your word to nobody; a vote alone publishes \
        the wallet.\nExample:\n  earnest --as ben community stand zQmCommunity… eip155:1:0xWallet…"
    )]
    Stand {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// Your wallet; another one on its chain is a candidate no more
        #[arg(value_name = "CAIP-10")]
        wallet: AccountId,
    },
    /// Be on no list that is decided from now on, with this wallet
    StandDown {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// The wallet
        #[arg(value_name = "CAIP-10")]
        wallet: AccountId,
    },
    /// Show with which wallets you stand in a community
    Candidacies {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
    },
    /// End an account's membership, or decline one that waits
    RemoveMember {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
    },
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum As {
    /// Belongs to it
    Member,
    /// Also decides who belongs to it
    Steward,
}

impl From<As> for Role {
    fn from(role: As) -> Self {
        match role {
            As::Member => Self::Member,
            As::Steward => Self::Steward,
        }
    }
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Create { name } => {
            let member = session.member().await?;
            let receipt = member.say(&member.draft("community@1", &CommunityBody { name })?).await?;
            session.accepted("community", &receipt)
        }
        Verb::Show { id: None, after } => {
            let page: Page<CommunityView> =
                session.reader().await?.get(&page_of("/v1/communities", after)).await?;
            let rows = page
                .items
                .iter()
                .map(|one| vec![one.id.to_string(), one.name.clone(), one.created.to_string()])
                .collect();
            session.output.many(&page, &["community", "name", "since"], rows)?;
            session.output.more(page.next.as_deref())
        }
        Verb::Show { id: Some(id), .. } => {
            let community: CommunityView =
                session.reader().await?.get(&format!("/v1/communities/{id}")).await?;
            if !session.output.json {
                print(&format!("{} {}", community.name, community.did))?;
            }
            let rows = community.members.iter().flatten().map(member_row).collect();
            session.output.many(&community, &MEMBER, rows)
        }
        Verb::Did { community } => {
            tell_document(session, &format!("/communities/{community}/did.json")).await
        }
        Verb::Members { community, after } => {
            let path = page_of(&format!("/v1/communities/{community}/members"), after);
            let page: Page<MemberView> = session.reader().await?.get(&path).await?;
            session.output.many(&page, &MEMBER, page.items.iter().map(member_row).collect())?;
            session.output.more(page.next.as_deref())
        }
        Verb::Settings { community } => {
            let path = format!("/v1/communities/{community}/settings");
            let settings: Vec<SettingView> = session.reader().await?.get(&path).await?;
            let row = |one: &SettingView| {
                let (value, least, greatest) = (one.value, one.least, one.greatest);
                let name = one.setting.name().to_owned();
                vec![name, value.to_string(), least.to_string(), greatest.to_string()]
            };
            let heading = ["setting", "value", "at least", "at most"];
            session.output.many(&settings, &heading, settings.iter().map(row).collect())
        }
        Verb::Treasury { community, after } => {
            let path = page_of(&format!("/v1/communities/{community}/treasury"), after);
            let page: Page<StandingView> = session.reader().await?.get(&path).await?;
            ledger::tell_accounts(session, &page)
        }
        Verb::AddMember { community, account, role } => {
            change(session, community, account, Some(role.into())).await
        }
        Verb::Join { community, role } => {
            let account = session.profile()?.account()?;
            change(session, community, account, Some(role.into())).await
        }
        Verb::Invitations { after } => {
            let path = page_of("/v1/invitations", after);
            let page: Page<InvitationView> = session.member().await?.get(&path).await?;
            let row = |one: &InvitationView| {
                vec![
                    one.community.to_string(),
                    one.account.to_string(),
                    one.role.name().to_owned(),
                    one.said_by.name().to_owned(),
                    one.since.to_string(),
                ]
            };
            let rows = page.items.iter().map(row).collect();
            session.output.many(&page, &["community", "account", "as", "said by", "since"], rows)?;
            session.output.more(page.next.as_deref())
        }
        Verb::Stand { community, wallet } => stand(session, community, wallet, true).await,
        Verb::StandDown { community, wallet } => stand(session, community, wallet, false).await,
        Verb::Candidacies { community } => {
            let path = format!("/v1/communities/{community}/candidacies");
            let view: CandidaciesView = session.member().await?.get(&path).await?;
            let rows =
                view.items.iter().map(|one| vec![one.wallet.to_string(), one.since.to_string()]).collect();
            session.output.many(&view, &["wallet", "since"], rows)
        }
        Verb::RemoveMember { community, account } => change(session, community, account, None).await,
    }
}

/// Who stands is nobody else's to read before a vote publishes it.
async fn stand(session: &Session, community: RecordId, wallet: AccountId, stands: bool) -> Result<()> {
    let member = session.member().await?;
    let draft = member.draft("candidacy@1", &CandidacyBody { wallet, stands })?.about(community);
    let own = vec![Audience::Account(member.account)];
    session.accepted("candidacy", &member.say(&draft.only_for(own)).await?)
}

const MEMBER: [&str; 3] = ["member", "role", "since"];

fn member_row(one: &MemberView) -> Vec<String> {
    vec![one.account.to_string(), one.role.name().to_owned(), one.since.to_string()]
}

/// The path of a page of a hundred.
fn page_of(list: &str, after: Option<String>) -> String {
    query(list, &[("limit", Some("100".to_owned())), ("after", after)])
}

async fn change(session: &Session, community: RecordId, account: RecordId, role: Option<Role>) -> Result<()> {
    let member = session.member().await?;
    let draft = member.draft("membership@1", &MembershipBody { account, role })?.about(community);
    session.accepted("membership", &member.say(&draft).await?)
}
