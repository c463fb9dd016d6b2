//! `earnest community`: communities and who belongs to them.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use hub::{
    access::{Audience, Role},
    communities::{
        CandidaciesView, CandidacyBody, CommunityBody, CommunityView, InvitationView, InvitationsView,
        MembershipBody,
    },
    page::Page,
    records::RecordId,
};
use protocol::chain::AccountId;

use super::{Session, record_id};
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
    /// Show a community and its members, or list those that you may see
    Show {
        /// Its id
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
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
    Invitations,
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
        Verb::Show { id: None } => {
            let page: Page<CommunityView> = session.hub()?.http.get("/v1/communities?limit=100").await?;
            let rows = page
                .items
                .iter()
                .map(|one| vec![one.id.to_string(), one.name.clone(), one.created.to_string()])
                .collect();
            session.output.many(&page, &["community", "name", "since"], rows)
        }
        Verb::Show { id: Some(id) } => {
            let community: CommunityView = session.hub()?.http.get(&format!("/v1/communities/{id}")).await?;
            if !session.output.json {
                print(&format!("{} {}", community.name, community.did))?;
            }
            let members = community.members.clone().unwrap_or_default();
            let rows = members
                .iter()
                .map(|one| vec![one.account.to_string(), one.role.name().to_owned(), one.since.to_string()])
                .collect();
            session.output.many(&community, &["member", "role", "since"], rows)
        }
        Verb::AddMember { community, account, role } => {
            change(session, community, account, Some(role.into())).await
        }
        Verb::Join { community, role } => {
            let account = session.profile()?.account()?;
            change(session, community, account, Some(role.into())).await
        }
        Verb::Invitations => {
            let view: InvitationsView = session.member().await?.get("/v1/invitations").await?;
            let row = |one: &InvitationView| {
                vec![
                    one.community.to_string(),
                    one.account.to_string(),
                    one.role.name().to_owned(),
                    one.said_by.name().to_owned(),
                    one.since.to_string(),
                ]
            };
            let rows = view.own.iter().chain(&view.stewarded).map(row).collect();
            session.output.many(&view, &["community", "account", "as", "said by", "since"], rows)
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

async fn change(session: &Session, community: RecordId, account: RecordId, role: Option<Role>) -> Result<()> {
    let member = session.member().await?;
    let draft = member.draft("membership@1", &MembershipBody { account, role })?.about(community);
    session.accepted("membership", &member.say(&draft).await?)
}
